"""Faults of the sidecar."""


class SidecarError(Exception):
    """The sidecar cannot be brought up; the message says why and what to do."""


class BundleError(SidecarError):
    """The policies do not make a bundle; the message is OPA's own, with file and line."""
