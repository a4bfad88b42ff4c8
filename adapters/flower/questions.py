"""What server and nodes ask each other beside the app's own records: flat mappings of text, no weights.

A question travels under the type of the message that it precedes, so an app that uses the mod registers nothing more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from adapters.admission import DECLINED, STAGE, Answer, Ask, declined
from adapters.flower.records import carried, with_ours

__all__ = ["DECLINED", "STAGE", "Stage", "ask", "asking", "declined", "stage_of"]

Stage = Literal["identify", "pull", "train", "submit", "evaluate", ""]

_STAGES: dict[str, Stage] = {
    "identify": "identify",
    "pull": "pull",
    "train": "train",
    "submit": "submit",
    "evaluate": "evaluate",
}


def stage_of(ours: Mapping[str, Any]) -> Stage:
    """Return what a message asks for; empty when it asks for nothing of ours."""
    found = ours.get(STAGE)
    return _STAGES.get(found, "") if isinstance(found, str) else ""


def ask(
    grid: Grid, nodes: Iterable[int], message_type: str, ours: Mapping[str, str], timeout: float
) -> dict[int, Message]:
    """Ask nodes and return the first answer of each that gave one in time.

    Args:
        grid: reaches the nodes.
        nodes: whom to ask.
        message_type: under which the apps of the nodes use the mod.
        ours: the question.
        timeout: seconds.
    """
    content = with_ours(RecordDict(), ours)
    questions = [Message(content, node, message_type, ttl=timeout) for node in nodes]
    answers: dict[int, Message] = {}
    for answer in grid.send_and_receive(questions, timeout=timeout) if questions else ():
        answers.setdefault(answer.metadata.src_node_id, answer)
    return answers


def asking(grid: Grid, message_type: str, timeout: float) -> Ask[int]:
    """Return what asks nodes under a message type, and reads of each answer what is ours."""

    def asks(nodes: Sequence[int], question: Mapping[str, str]) -> dict[int, Answer]:
        answers = ask(grid, nodes, message_type, question, timeout)
        return {node: carried(answer.content) if answer.has_content() else None for node, answer in answers.items()}

    return asks
