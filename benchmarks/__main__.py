"""`make benchmark`: every benchmark that needs no other machine, one after the other."""

from benchmarks import dates, forward, heads_against_sklearn, kills

if __name__ == "__main__":
    forward.main()
    heads_against_sklearn.main()
    kills.main()
    dates.main()
