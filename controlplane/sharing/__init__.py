"""What the workers of one control plane must count once, in memory that they have together."""
