"""`python -m vitrail` is the command `vitrail`, where no folder of scripts is on the path."""

from vitrail.cli import main

if __name__ == "__main__":
    main()
