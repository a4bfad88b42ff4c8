"""Certificates as everybody here verifies them (X.509, RFC 5280)."""
