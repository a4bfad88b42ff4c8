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


class StoreTooNew(StoreUnavailable):
    """The store is of a version that this code does not know, and not of the release right after it.

    Args:
        found: the store's latest migration.
        head: this code's.
        where: the database, without its password.
    """

    def __init__(self, found: str, head: str, where: str) -> None:
        Exception.__init__(
            self,
            f"the store has schema {found}, and this version serves up to {head} and the release after it ({where}). "
            "Nothing was changed. Start the version that the store was brought to, or one release before that; or put "
            "back the backup from before the upgrade: `ztfm store restore`",
        )
