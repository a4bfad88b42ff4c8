"""Attacks by defences by skew by seeds: ``python -m evaluation.comparison --quick``; as ``ztfm evaluate``."""

import sys

from controlplane.cli import main

if __name__ == "__main__":
    sys.argv = [sys.argv[0], "evaluate", *sys.argv[1:]]
    main()
