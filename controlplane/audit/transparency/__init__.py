"""The transparency log: an append-only Merkle tree over everything that was decided, and proofs that need no trust."""
