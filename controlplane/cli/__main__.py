"""``python -m controlplane.cli``: the same as ``ztfm``, for processes that start one another."""

from controlplane.cli import main

main()
