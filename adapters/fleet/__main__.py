"""Enrol a fleet from a shell: ``python -m adapters.fleet FLEET.csv --out FOLDER --admin FOLDER``."""

import sys

from adapters.fleet.command import main

if __name__ == "__main__":
    sys.exit(main())
