"""The collaborator's side: answers the aggregator's questions, and adds credentials to what is sent.

It is advice to a collaborator that wants to take part: what counts is verified at the aggregator.
"""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from openfl.pipelines import TensorCodec
from openfl.protocols.base_pb2 import NamedTensor
from torch import Tensor

from adapters.admission import DECLINED, STAGE, declined
from adapters.credentials import RoundTerms
from adapters.errors import ControlPlaneError
from adapters.guard.rounds import Weights
from adapters.member import Member
from adapters.openfl.messages import FAILED, QUESTION, TASK, TICKET, packed, ticketed, unpacked
from adapters.openfl.tensors import update_of
from adapters.screening import update_digest
from adapters.site.measuring import describe

_TICKET_BYTES = 32

_log = logging.getLogger("ztfm.member")

Opening = Callable[[], AbstractContextManager[Member]]
"""Opens the device; it is closed after each use."""

Received = Callable[[int], Mapping[str, Tensor]]
"""From the number of a round to the weights that were received for it."""


class AnsweringClient:
    """OpenFL's client for the aggregator, in which a device answers what it is asked.

    Args:
        client: OpenFL's, for gRPC or REST.
        member: opens the device.
        codec: OpenFL's, of the plan's pipeline.
        received: returns the weights that were received.
    """

    def __init__(self, client: Any, member: Opening, codec: TensorCodec, received: Received) -> None:
        self._client = client
        self._member = member
        self._codec = codec
        self._received = received
        self._terms: RoundTerms | None = None
        self._ticket = ""
        self._task = ""
        self._digest = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_tasks(self) -> Any:
        """Return the next tasks, once all questions are answered."""
        while True:
            found = self._client.get_tasks()
            tasks, number = found[0], found[1]
            if not tasks or getattr(tasks[0], "name", tasks[0]) != QUESTION:
                return found
            sent = self._client.get_aggregated_tensor(QUESTION, number, False, (QUESTION,), True)
            answer = self._attempt(unpacked([sent]), self._answer)
            self._client.send_local_task_results(number, QUESTION, 0, [packed(answer)])

    def get_aggregated_tensor(
        self, tensor_name: str, round_number: int, report: bool, tags: Sequence[str], require_lossless: bool
    ) -> Any:
        """Return a tensor of the aggregator's, asked for with this round's ticket."""
        borne = ticketed(tags, self._ticket)
        return self._client.get_aggregated_tensor(tensor_name, round_number, report, borne, require_lossless)

    def send_local_task_results(
        self, round_number: int, task_name: str, data_size: int, named_tensors: Sequence[NamedTensor]
    ) -> None:
        """Send a task's results: those of the training with credentials, or that the device declines."""
        tensors = list(named_tensors)
        if task_name == self._task:
            shown = self._attempt({}, lambda member, _: self._submitted(member, round_number, tensors, data_size))
            tensors = [packed(shown), *([] if DECLINED in shown else tensors)]
        self._client.send_local_task_results(round_number, task_name, data_size, tensors)

    def fail(self, round_number: int, task_name: str, error: Exception) -> None:
        """Tell the aggregator that a task cannot be done: it waits for nothing then."""
        failed = packed({FAILED: type(error).__name__[:64]})
        self._client.send_local_task_results(round_number, task_name, 0, [failed])

    def _answer(self, member: Member, question: Mapping[str, str]) -> dict[str, str]:
        stage = question.get(STAGE)
        if stage == "identify":
            return member.introduce(question.get("audience", "")).to_dict()
        terms = RoundTerms.from_dict(question)
        if stage == "pull":
            self._terms, self._task, self._digest = terms, question.get(TASK, ""), ""
            self._ticket = secrets.token_urlsafe(_TICKET_BYTES)
            return {TICKET: self._ticket, **member.pull(terms).to_dict()}
        if stage != "submit" or terms != self._terms or not self._digest:
            raise ValueError("nothing was sent to this round")
        return member.submit(terms, self._digest).to_dict()

    def _submitted(self, member: Member, number: int, tensors: Sequence[NamedTensor], examples: int) -> dict[str, str]:
        received = Weights.of(self._received(number))
        if self._terms is None or received.digest != self._terms.model_digest:
            raise ValueError("the weights that came are not those of the round")
        if not member.was_let_in(received.digest):
            return declined("vetoed")
        update = update_of(tensors, self._codec, received.tensors)
        self._digest = update_digest(update, received.manifest)
        describe(member, update, examples)
        return member.submit(self._terms, self._digest).to_dict()

    def _attempt(
        self, question: Mapping[str, str], work: Callable[[Member, Mapping[str, str]], dict[str, str]]
    ) -> dict[str, str]:
        try:
            with self._member() as member:
                return work(member, question)
        except ControlPlaneError as error:
            _log.warning("this collaborator is left out: %s", error)
            return declined(type(error).__name__.lower())
        except (ValueError, OSError) as error:
            _log.warning("this collaborator declines: %s", error)
            return declined("malformed")
