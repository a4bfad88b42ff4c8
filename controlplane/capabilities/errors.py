"""Faults of this folder. A token that does not hold is no fault: it is a `Refused`."""


class CapabilityError(Exception):
    """The root of this folder's faults."""


class KeyFileError(CapabilityError):
    """A key file cannot be used as it is; the message says which, why, and what to do."""


class KeySetError(CapabilityError):
    """A published key set cannot be used; the keys in use stay."""


class SealError(CapabilityError):
    """A sealed secret does not open; it is not used, and nothing is signed with it."""


class NoSigningKey(CapabilityError):  # noqa: N818 - a state, as callers see it
    """No key may sign now; nothing is minted."""
