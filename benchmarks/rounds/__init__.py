"""What a guarded round costs beside the same round with nobody on guard: ``python -m benchmarks.rounds --json``."""
