"""Before weights are sent: who is behind each node, which round it is, and who may have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from adapters.credentials import Credentials, Introduction
from adapters.errors import TooMany, Unavailable
from adapters.flower.questions import DECLINED, STAGE, ask
from adapters.flower.records import carried, only_arrays, read_trusted, with_ours
from adapters.guard import Guard, SealedRound
from adapters.guard.reports import Point
from controlplane.capabilities.refusals import Refused


@dataclass(frozen=True)
class OpenRound:
    """A sealed round and the nodes that were let in.

    Attributes:
        sealed: the round.
        sent: the weights, as the wrapped strategy sends them.
        subjects: by node, whose pull held.
        message_type: under which the weights are sent.
    """

    sealed: SealedRound
    sent: ArrayRecord
    subjects: Mapping[int, str]
    message_type: str


class Admission:
    """Lets nodes in, round by round, and remembers who they are.

    Args:
        guard: of the job.
        duration_seconds: how long a round stays open.
        query_timeout: seconds that nodes have to answer a question.
    """

    def __init__(self, guard: Guard, duration_seconds: float, query_timeout: float) -> None:
        self._guard = guard
        self._duration = duration_seconds
        self._timeout = query_timeout
        self._known: dict[int, str] = {}

    def open(self, grid: Grid, wanted: Sequence[Message], label: str) -> OpenRound | None:
        """Return the round in which the weights of ``wanted`` may be sent, or none when it cannot take place.

        Args:
            grid: reaches the nodes.
            wanted: what the wrapped strategy would send.
            label: ends the round's id.

        Raises:
            ControlPlaneError: this side is not allowed to open rounds, or asks wrongly.
            ValueError: the messages do not all carry the same weights, or none that can be guarded.
        """
        sent = _common_arrays(wanted)
        self._identify(grid, [message for message in wanted if message.metadata.dst_node_id not in self._known])
        subjects = {node: self._known[node] for node in _receivers(wanted) if node in self._known}
        members = self._guard.admit(subjects.values())
        if not members:
            return None
        try:
            sealed = self._guard.seal(read_trusted(sent), members, duration_seconds=self._duration, label=label)
        except (Unavailable, TooMany):
            self._guard.drop("seal", "unavailable")
            return None
        invited = [message for message in wanted if subjects.get(message.metadata.dst_node_id) in set(members)]
        allowed = self._pulls(grid, invited, sealed)
        return OpenRound(sealed, sent, allowed, wanted[0].metadata.message_type)

    def _identify(self, grid: Grid, strangers: Sequence[Message]) -> None:
        answers = self._ask(grid, strangers, {STAGE: "identify", "audience": self._guard.audience})
        for node in _receivers(strangers):
            found = self._read(Introduction, "identify", answers.get(node), "", "")
            subject = self._guard.identify(found) if found is not None else None
            if isinstance(subject, str):
                self._known[node] = subject

    def _pulls(self, grid: Grid, invited: Sequence[Message], sealed: SealedRound) -> dict[int, str]:
        answers = self._ask(grid, invited, {STAGE: "pull", **sealed.terms.to_dict()})
        allowed: dict[int, str] = {}
        for node in _receivers(invited):
            subject = self._known[node]
            found = self._read(Credentials, "pull", answers.get(node), subject, sealed.terms.round_id)
            if found is None:
                continue
            if found.subject != subject:
                # It is somebody else than it said it was: ask it again who it is.
                del self._known[node]
                self._guard.drop("pull", "wrong_subject", subject=subject, round_id=sealed.terms.round_id)
            elif not isinstance(self._guard.authorize_pull(sealed, found), Refused):
                allowed[node] = subject
        return allowed

    def _ask(self, grid: Grid, wanted: Sequence[Message], ours: Mapping[str, str]) -> dict[int, Message]:
        if not wanted:
            return {}
        return ask(grid, _receivers(wanted), wanted[0].metadata.message_type, ours, self._timeout)

    def _read(self, kind: Any, point: Point, answer: Message | None, subject: str, round_id: str) -> Any:
        """Return the value of an answer, or none for a node that gave none, which is left out."""
        ours = carried(answer.content) if answer is not None and answer.has_content() else {}
        try:
            return kind.from_dict(ours)
        except ValueError:
            self._guard.drop(point, _why(answer, ours), subject=subject, round_id=round_id)
            return None


def invitations(wanted: Sequence[Message], opened: OpenRound, stage: str) -> list[Message]:
    """Return those of ``wanted`` whose nodes were let in, each with the round's terms beside the app's records."""
    allowed = [message for message in wanted if message.metadata.dst_node_id in opened.subjects]
    for message in allowed:
        message.content = with_ours(message.content, {STAGE: stage, **opened.sealed.terms.to_dict()})
    return allowed


def _receivers(messages: Sequence[Message]) -> list[int]:
    return list(dict.fromkeys(message.metadata.dst_node_id for message in messages))


def _why(answer: Message | None, ours: Mapping[str, Any]) -> str:
    if answer is None:
        return "absent"
    if answer.has_error():
        return "failed"
    return "declined" if DECLINED in ours else "malformed"


def _common_arrays(wanted: Sequence[Message]) -> ArrayRecord:
    found = [arrays for message in wanted if (arrays := only_arrays(message.content)) is not None]
    if len(found) != len(wanted):
        raise ValueError("a guarded strategy sends exactly one ArrayRecord to each node")
    first = found[0]
    if any(other is not first and other.object_id != first.object_id for other in found):
        raise ValueError("a guarded strategy sends the same weights to every node of a round")
    return first
