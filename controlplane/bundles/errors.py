"""What is wrong with a bundle or with a key for bundles."""

from controlplane.contracts.policies import RefusalReason

MAX_DETAIL = 4096


class BundleRefused(Exception):  # noqa: N818 - a state, as callers see it
    """A bundle that is not taken.

    Attributes:
        reason: the word for it.
        detail: what a person needs to mend it; cut after 4096 characters.
    """

    reason: RefusalReason
    detail: str

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:MAX_DETAIL]
        super().__init__(f"{reason}: {self.detail}")


class PolicyKeyError(Exception):
    """A key that signs policies, or a folder of keys to trust, cannot be used; the message says what to do."""
