"""Audit: a decision that is not on record is not given out."""

from controlplane.audit.errors import AuditUnavailable
from controlplane.audit.log import AuditLog

__all__ = ["AuditLog", "AuditUnavailable"]
