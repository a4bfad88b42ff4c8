"""Two workloads that know each other by their SPIFFE IDs (docs/spiffe.md)."""
