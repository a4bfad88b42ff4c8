"""Before weights are sent: who is behind each site, which round it is, and who may have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.credentials import Credentials, Introduction
from adapters.errors import TooMany, Unavailable
from adapters.guard import Guard, SealedRound
from adapters.guard.reports import Point
from adapters.nvflare.questions import DECLINED, STAGE, Ask
from adapters.nvflare.weights import Parameters, read_trusted
from controlplane.capabilities.refusals import Refused


@dataclass(frozen=True)
class OpenRound:
    """A sealed round and the sites that were let in.

    Attributes:
        sealed: the round.
        sent: the weights, as they are sent.
        subjects: by the site's name, whose pull held.
    """

    sealed: SealedRound
    sent: Parameters
    subjects: Mapping[str, str]


class Admission:
    """Lets sites in, round by round, and remembers who they are.

    Args:
        guard: of the job.
        duration_seconds: how long a round stays open.
        bound: site -> the one subject that may stand behind it; none binds no names.
    """

    def __init__(self, guard: Guard, duration_seconds: float, bound: Mapping[str, str] | None = None) -> None:
        self._guard = guard
        self._duration = duration_seconds
        self._bound = bound
        self._known: dict[str, str] = {}

    def open(self, ask: Ask, sites: Sequence[str], sent: Parameters, label: str) -> OpenRound | None:
        """Return the round in which weights may be sent, or none when it cannot take place.

        Args:
            ask: reaches the sites.
            sites: names of those which the job would send them to.
            sent: the weights.
            label: ends the round's id.

        Raises:
            ControlPlaneError: this side is not allowed to open rounds, or asks wrongly.
            ValueError: there is no weight that can be guarded.
        """
        self._identify(ask, [site for site in sites if site not in self._known])
        subjects = {site: self._known[site] for site in sites if site in self._known}
        members = self._guard.admit(subjects.values())
        if not members:
            return None
        try:
            sealed = self._guard.seal(read_trusted(sent), members, duration_seconds=self._duration, label=label)
        except (Unavailable, TooMany):
            self._guard.drop("seal", "unavailable")
            return None
        invited = [site for site, subject in subjects.items() if sealed.has_member(subject)]
        return OpenRound(sealed, sent, self._pulls(ask, invited, sealed))

    def _identify(self, ask: Ask, strangers: Sequence[str]) -> None:
        answers = ask(strangers, {STAGE: "identify", "audience": self._guard.audience})
        for site in strangers:
            found = self._read(Introduction, "identify", answers.get(site), "", "")
            subject = self._guard.identify(found) if found is not None else None
            if not isinstance(subject, str):
                continue
            if self._bound is not None and self._bound.get(site) != subject:
                self._guard.drop("admit", "not_invited", subject=subject)
            else:
                self._known[site] = subject

    def _pulls(self, ask: Ask, invited: Sequence[str], sealed: SealedRound) -> dict[str, str]:
        answers = ask(invited, {STAGE: "pull", **sealed.terms.to_dict()})
        allowed: dict[str, str] = {}
        for site in invited:
            subject = self._known[site]
            found = self._read(Credentials, "pull", answers.get(site), subject, sealed.terms.round_id)
            if found is None:
                continue
            if found.subject != subject:
                # It is somebody else than it said it was: ask it again who it is.
                del self._known[site]
                self._guard.drop("pull", "wrong_subject", subject=subject, round_id=sealed.terms.round_id)
            elif not isinstance(self._guard.authorize_pull(sealed, found), Refused):
                allowed[site] = subject
        return allowed

    def _read(self, kind: Any, point: Point, answer: Mapping[str, Any] | None, subject: str, round_id: str) -> Any:
        """Return the value of an answer, or none for a site that gave none, which is left out."""
        try:
            return kind.from_dict(answer or {})
        except ValueError:
            self._guard.drop(point, _why(answer), subject=subject, round_id=round_id)
            return None


def _why(answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return "absent"
    return "declined" if DECLINED in answer else "malformed"
