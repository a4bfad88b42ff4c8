"""Faults of the policy author's tools."""


class AuthoringError(Exception):
    """What was asked for cannot be done; the message says why and what to do."""


class TrialsBusy(Exception):  # noqa: N818 - a state, as callers see it
    """No more policies are tried at this moment.

    Attributes:
        is_own: it is the same person's try that is under way, and not others'.
    """

    def __init__(self, *, is_own: bool) -> None:
        super().__init__("a try of yours is under way" if is_own else "others try policies at this moment")
        self.is_own = is_own


class NoPolicyTools(Exception):  # noqa: N818 - a state, as callers see it
    """The installation has no program to try policies with; the message says how it gets one."""


class DraftMoved(Exception):  # noqa: N818 - a state, as callers see it
    """The policies that a draft changes are others by now."""
