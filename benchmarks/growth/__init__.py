"""What a decision costs as devices, exceptions and policies grow in number: ``python -m benchmarks.growth``."""
