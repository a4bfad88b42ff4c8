"""Faults of the policy author's tools."""


class AuthoringError(Exception):
    """What was asked for cannot be done; the message says why and what to do."""
