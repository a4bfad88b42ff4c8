"""Weights and updates that only those can open whom a key was released to. Without torch: bytes are opened as they are.

`sealing` writes, `opening` reads, `updates` seals what a device submits; the keys come from ``POST
/v1/secrets/{id}/release`` (docs/key-release.md).
"""
