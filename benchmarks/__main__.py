"""`make benchmark`: every benchmark that needs no other machine, one after the other."""

from benchmarks import (
    dates,
    deck,
    extraction,
    forward,
    heads_against_sklearn,
    killed_runs,
    kills,
    memory,
    precision,
    search_resumed,
)

if __name__ == "__main__":
    forward.main()
    extraction.main()
    precision.main()
    heads_against_sklearn.main()
    kills.main()
    killed_runs.main()
    memory.main()
    search_resumed.main()
    dates.main()
    deck.main()
