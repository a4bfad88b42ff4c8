"""Faults of audit."""


class AuditError(Exception):
    """The root of audit's faults."""


class AuditUnavailable(AuditError):  # noqa: N818 - a state, as callers see it
    """A decision could not be recorded or read; it must not be given out."""
