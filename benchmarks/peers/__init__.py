"""The control plane beside other engines that answer the same policy: ``python -m benchmarks.peers``."""
