"""Faults of storage."""


class StoreError(Exception):
    """The root of storage's faults."""


class StoreAddressError(StoreError, ValueError):
    """The database URL names nothing that can be opened."""


class StoreUnavailable(StoreError):  # noqa: N818 - a state, as callers see it
    """The store did not do what it was asked, and nothing was half-written.

    Args:
        what: what was being done.
        where: the database, without its password.
        why: the driver's words.
    """

    def __init__(self, what: str, where: str, why: str) -> None:
        super().__init__(
            f"could not {what}: {why} ({where}). Check that the database runs, is reachable and has space; "
            "nothing was half-written, so trying again is safe."
        )
