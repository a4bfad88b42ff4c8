"""What a call to the control plane can raise: one root, one class for each thing a caller may do about it.

A denial is a value (`adapters.answers`), raised only by ``require()``. What is left is raised:

| class | what it says | what to do |
|---|---|---|
| `Denied` | ``require()`` was called on a denial | what the remedies of ``reasons`` say |
| `Forbidden` | policy does not let this caller make this call at all | use a key that has the role |
| `Exposing` | updates of the model may only be summed securely | use a backend that does |
| `NoiseOwed` | noise has to be added first | `Member.release`, in a backend that does |
| `Unauthenticated` | the key is not enrolled, or the proof does not hold | enrol; compare clocks and URL |
| `Invalid` | the request does not fit its contract | correct the named fields |
| `NotFound` | there is no such thing | |
| `Conflict` | it exists, or was used already (a replay) | do not ask again |
| `TooMany` | asked too often | wait ``retry_after`` seconds |
| `Unavailable` | no answer can be had now | ask again, if it ``is_untouched`` |
| `Unreachable` | of these: no connection could be made | is the control plane running? |
| `TimedOut` | of these: no whole answer came in time | it may have had an effect |
"""

from collections.abc import Sequence

from controlplane.contracts.access import AccessReason
from controlplane.contracts.privacy import PrivacyTerms
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
    """Policy denies the request. Asking again changes nothing until what `reasons` name has changed.

    Attributes:
        reasons: what was missing, each with a remedy.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 403,
        problem: Problem | None = None,
        reasons: Sequence[AccessReason] = (),
        decision_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.reasons: Sequence[AccessReason] = (problem.reasons if problem else None) or reasons
        self._decision_id = decision_id

    @property
    def decision_id(self) -> str | None:
        """The recorded decision behind it, where there is one."""
        return self._decision_id or super().decision_id


class Forbidden(Denied):
    """Policy does not let this caller make the call: the denial is of the caller, not of whom it asks about."""


class Exposing(Denied):
    """Policy lets an aggregator see sums of groups alone, and this backend would show it the update: none is sent."""


class NoiseOwed(Denied):
    """The capability asks for noise that was not added, so nothing is signed and nothing leaves the device.

    What it costs was charged when the capability was given out.

    Attributes:
        terms: what it asks for; none where an aggregator owes it.
        capability: that was given out; it can be used once the noise is added. Never log it.
    """

    def __init__(self, message: str, terms: PrivacyTerms | None = None, capability: str = "") -> None:
        super().__init__(message)
        self.terms = terms
        self.capability = capability


class Unauthenticated(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """The key is not enrolled, or the proof does not hold: compare clocks, and the URL with the public URL."""


class Invalid(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """The request does not fit its contract: a fault of the caller, or of two versions that do not go together."""

    @property
    def errors(self) -> Sequence[FieldError]:
        """The fields that do not fit."""
        return (self.problem.errors if self.problem else None) or ()


class NotFound(ControlPlaneError):  # noqa: N818 - a state, as callers see it
    """There is no such round, decision or device."""


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


class Unreachable(Unavailable):
    """No connection could be made, so nothing was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_untouched=True)


class TimedOut(Unavailable):
    """No whole answer came in time; whether the request was carried out is not known."""
