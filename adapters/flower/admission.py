"""Before weights are sent: which nodes are asked, with which weights, and the messages for those that were let in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from adapters import admission
from adapters.flower.questions import STAGE, asking
from adapters.flower.records import only_arrays, read_trusted, with_ours
from adapters.guard import Guard, SealedRound


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
        self._admission = admission.Admission[int](guard, duration_seconds)
        self._timeout = query_timeout

    def open(self, grid: Grid, wanted: Sequence[Message], label: str) -> OpenRound | None:
        """Return the round in which the weights of ``wanted`` may be sent, or none when it cannot take place.

        Args:
            grid: reaches the nodes.
            wanted: what the wrapped strategy would send; at least one.
            label: ends the round's id.

        Raises:
            ControlPlaneError: this side is not allowed to open rounds, or asks wrongly.
            ValueError: the messages do not all carry the same weights, or none that can be guarded.
        """
        sent, message_type = _common_arrays(wanted), wanted[0].metadata.message_type
        nodes = [message.metadata.dst_node_id for message in wanted]
        found = self._admission.open(asking(grid, message_type, self._timeout), nodes, read_trusted(sent), label)
        return None if found is None else OpenRound(found.sealed, sent, found.subjects, message_type)


def invitations(wanted: Sequence[Message], opened: OpenRound, stage: str) -> list[Message]:
    """Return those of ``wanted`` whose nodes were let in, each with the round's terms beside the app's records."""
    allowed = [message for message in wanted if message.metadata.dst_node_id in opened.subjects]
    for message in allowed:
        message.content = with_ours(message.content, {STAGE: stage, **opened.sealed.terms.to_dict()})
    return allowed


def _common_arrays(wanted: Sequence[Message]) -> ArrayRecord:
    found = [arrays for message in wanted if (arrays := only_arrays(message.content)) is not None]
    if len(found) != len(wanted):
        raise ValueError("a guarded strategy sends exactly one ArrayRecord to each node")
    first = found[0]
    if any(other is not first and other.object_id != first.object_id for other in found):
        raise ValueError("a guarded strategy sends the same weights to every node of a round")
    return first
