"""Before weights are sent, over any transport that carries questions: who each peer is, and who may have them."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from adapters.credentials import Credentials, Introduction
from adapters.errors import TooMany, Unavailable
from adapters.guard import Guard, SealedRound
from adapters.guard.reports import Point
from controlplane.capabilities.refusals import Refused

STAGE = "stage"
"""Names what a question asks for: ``identify``, ``pull``, and later ``submit``."""

DECLINED = "declined"
"""In the answer of a peer that was not given what it was asked for: why, in a word."""

Peer = TypeVar("Peer", bound=Hashable)
Shown = TypeVar("Shown", Introduction, Credentials)

Answer = Mapping[str, Any] | None
"""What a peer answered, untrusted; none when all that came is that its code failed."""

_ABSENT: Mapping[str, Any] = {}
"""Stands for the answer of a peer that gave none."""

Ask = Callable[[Sequence[Peer], Mapping[str, str]], Mapping[Peer, Answer]]
"""From peers and a question to the answers of those that gave one in time."""


def declined(cause: str) -> dict[str, str]:
    """Return the answer of a peer that was not given what it was asked for."""
    return {DECLINED: cause[:64]}


@dataclass(frozen=True)
class Admitted(Generic[Peer]):
    """A sealed round and the peers that were let in.

    Attributes:
        sealed: the round.
        subjects: by peer, whose pull held.
    """

    sealed: SealedRound
    subjects: Mapping[Peer, str]


class Admission(Generic[Peer]):
    """Lets peers in, round by round, and remembers who they are. What a peer does wrong is counted, never raised.

    Args:
        guard: of the job.
        duration_seconds: how long a round stays open.
        bound: peer -> the one subject that may stand behind it; none binds no names.
    """

    def __init__(self, guard: Guard, duration_seconds: float, bound: Mapping[Peer, str] | None = None) -> None:
        self._guard = guard
        self._duration = duration_seconds
        self._bound = bound
        self._known: dict[Peer, str] = {}

    def open(
        self, ask: Ask[Peer], peers: Sequence[Peer], state: Mapping[str, Tensor], label: str
    ) -> Admitted[Peer] | None:
        """Return the round in which weights may be sent, or none when it cannot take place.

        Args:
            ask: reaches the peers.
            peers: to which the job would send them.
            state: the weights.
            label: ends the round's id.

        Raises:
            ControlPlaneError: this side is not allowed to open rounds, or asks wrongly.
            ValueError: there is no weight that can be guarded.
        """
        asked = list(dict.fromkeys(peers))
        self._identify(ask, [peer for peer in asked if peer not in self._known])
        subjects = {peer: self._known[peer] for peer in asked if peer in self._known}
        members = self._guard.admit(subjects.values())
        if not members:
            return None
        try:
            sealed = self._guard.seal(state, members, duration_seconds=self._duration, label=label)
        except (Unavailable, TooMany):
            self._guard.drop("seal", "unavailable")
            return None
        invited = [peer for peer, subject in subjects.items() if sealed.has_member(subject)]
        return Admitted(sealed, self._pulls(ask, invited, sealed))

    def _identify(self, ask: Ask[Peer], strangers: Sequence[Peer]) -> None:
        answers = ask(strangers, {STAGE: "identify", "audience": self._guard.audience}) if strangers else {}
        for peer in strangers:
            shown = self._shown(Introduction, "identify", answers.get(peer, _ABSENT), "", "")
            subject = self._guard.identify(shown) if shown is not None else None
            if not isinstance(subject, str):
                continue
            if self._bound is not None and self._bound.get(peer) != subject:
                self._guard.drop("admit", "not_invited", subject=subject)
            else:
                self._known[peer] = subject

    def _pulls(self, ask: Ask[Peer], invited: Sequence[Peer], sealed: SealedRound) -> dict[Peer, str]:
        answers = ask(invited, {STAGE: "pull", **sealed.terms.to_dict()}) if invited else {}
        allowed: dict[Peer, str] = {}
        for peer in invited:
            subject, round_id = self._known[peer], sealed.terms.round_id
            shown = self._shown(Credentials, "pull", answers.get(peer, _ABSENT), subject, round_id)
            if shown is None:
                continue
            if shown.subject != subject:
                # It is somebody else than it said it was: ask it again who it is.
                del self._known[peer]
                self._guard.drop("pull", "wrong_subject", subject=subject, round_id=round_id)
            elif not isinstance(self._guard.authorize_pull(sealed, shown), Refused):
                allowed[peer] = subject
        return allowed

    def _shown(self, kind: type[Shown], point: Point, answer: Answer, subject: str, round_id: str) -> Shown | None:
        """Return what an answer shows, or none for a peer that is left out."""
        try:
            return kind.from_dict(answer or {})
        except ValueError:
            self._guard.drop(point, _why(answer), subject=subject, round_id=round_id)
            return None


def _why(answer: Answer) -> str:
    if answer is None:
        return "failed"
    if answer is _ABSENT:
        return "absent"
    return "declined" if DECLINED in answer else "malformed"
