"""Identifiers: decentralised identifiers, and what a ledger says of an identity."""
