"""Enforce the table of grants on this router: ``python -m adapters.segments run FOLDER --state DIR``."""

import sys

from adapters.segments.command import main

if __name__ == "__main__":
    sys.exit(main())
