"""Faults of the sidecar."""


class SidecarError(Exception):
    """The sidecar cannot be brought up; the message says why and what to do."""


class BundleError(SidecarError):
    """The policies do not make a bundle; the message is OPA's own, with file and line."""


class OpaFailed(BundleError):  # noqa: N818 - a state, as callers see it
    """OPA itself could not be run or was not done in time; nothing is said of the policies."""
