"""Capabilities: minted for one key, one action, one resource, one audience; verified offline (RFC 9068, RFC 9449).

Pure: no network, no clock of its own, nothing that a small device could not carry.
"""
