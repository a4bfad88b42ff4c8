"""What a call to the control plane can raise: one root, one class for each thing a caller may do about it."""

from collections.abc import Sequence

from controlplane.contracts.access import AccessReason
from controlplane.contracts.problem import FieldError, Problem


class ControlPlaneError(Exception):
    """The root of this family: the control plane did not do what was asked.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        problem: the problem document (RFC 9457), where one came.
    """

    def __init__(self, message: str, *, status: int = 0, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem

    @property
    def decision_id(self) -> str | None:
        """The recorded decision behind it, where there is one."""
        return self.problem.decision_id if self.problem else None


class Denied(ControlPlaneError):  # noqa: N818 - a policy's answer, as callers see it
    """Policy denies the request. Asking again changes nothing until what `reasons` name has changed."""

    @property
    def reasons(self) -> Sequence[AccessReason]:
        """What was missing, each with a remedy."""
        return (self.problem.reasons if self.problem else None) or ()


class Unauthenticated(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """The key is not enrolled, or the proof does not hold: compare clocks, and the URL with the public URL."""


class Invalid(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """The request does not fit its contract: a fault of the caller, or of two versions that do not go together."""

    @property
    def errors(self) -> Sequence[FieldError]:
        """The fields that do not fit."""
        return (self.problem.errors if self.problem else None) or ()


class NotFound(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """There is no such round or decision."""


class Conflict(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """It exists or was used already: a round's id, an enrolment token, an enrolled key."""


class TooMany(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """Asked too often.

    Attributes:
        retry_after: seconds to wait.
    """

    def __init__(self, message: str, *, retry_after: float, problem: Problem | None = None) -> None:
        super().__init__(message, status=429, problem=problem)
        self.retry_after = retry_after


class Unavailable(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """No answer can be had now; nothing was granted.

    Attributes:
        is_untouched: it is certain that the request had no effect, so that it may be made again.
    """

    def __init__(
        self, message: str, *, status: int = 0, problem: Problem | None = None, is_untouched: bool = False
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.is_untouched = is_untouched
