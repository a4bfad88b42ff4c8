"""Ledgers: where identities are written so that no organisation can take one back; one interface, several kinds."""
