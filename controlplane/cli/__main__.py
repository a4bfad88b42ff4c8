"""``python -m controlplane.cli``: the same as ``ztfm``, for processes that start one another."""

from controlplane.cli import main

# A process that Python spawns imports this module again, and must not serve.
if __name__ == "__main__":
    main()
