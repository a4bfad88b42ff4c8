"""Backends for the kit whose adapter is a single module; others have theirs beside them, as ``conformance``."""
