"""Releases of policies: built, checked, published, followed."""
