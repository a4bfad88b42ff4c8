"""An island's side: one member, that answers the coordinator and gives its training the weights of each round.

It is advice to an island that wants to take part. What counts is verified at the coordinator.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from adapters.admission import DECLINED, STAGE, declined
from adapters.credentials import RoundTerms
from adapters.distributed.coordinator import FAILED
from adapters.distributed.mailbox import Answer, Mailbox
from adapters.errors import ControlPlaneError
from adapters.guard.rounds import Weights, difference
from adapters.member import Member
from adapters.screening import Manifest, update_digest

_WAIT_SECONDS = 1.0

_log = logging.getLogger("ztfm.member")


@dataclass
class Outer:
    """One round, as an island has it.

    Attributes:
        state: the weights that it begins with.
        terms: of the round.
        is_answered: something was submitted.
    """

    state: Mapping[str, Tensor]
    terms: RoundTerms
    _island: "Island"
    _question: Answer
    is_answered: bool = False

    def submit(self, trained: Mapping[str, object], examples: int) -> None:
        """Send what the inner steps made of the weights.

        Args:
            trained: the weights after them, by name; what the round is not about is left out.
            examples: training examples behind it.
        """
        self.submit_update(difference(trained, self.state), examples)

    def submit_update(self, update: Mapping[str, object], examples: int) -> None:
        """Send an update: trained minus received, as it is to be judged."""
        self._island.send(self, self._question, update, examples)
        self.is_answered = True


class Island:
    """A member of the federation, for the one process of an island that speaks for it.

    Args:
        member: that the island is.
        mailbox: reaches the coordinator.
    """

    def __init__(self, member: Member, mailbox: Mailbox) -> None:
        self._member = member
        self._mailbox = mailbox
        self._last: tuple[str, str] = ("", "")

    def rounds(self) -> Iterator[Outer]:
        """Yield rounds to train for, until the coordinator ends the job, or is gone.

        A round that is left without a submission is told to the coordinator as one whose training failed.
        """
        while (question := self._next()) is not None:
            stage = question.words.get(STAGE)
            if stage == "end":
                return
            if stage != "train":
                self._answer(question, lambda question=question: self._words(question.words))  # type: ignore[misc]
                continue
            outer = self._outer(question)
            if outer is None:
                continue
            try:
                yield outer
            finally:
                if not outer.is_answered:
                    self._mailbox.answer(question, {FAILED: "training"}, {})

    def send(self, outer: Outer, question: Answer, update: Mapping[str, object], examples: int) -> None:
        """Send an update with credentials to submit it, or that they were not given."""
        digest = update_digest(update, Manifest.of({n: t for n, t in outer.state.items() if t.is_floating_point()}))
        self._last = outer.terms.round_id, digest

        def words() -> dict[str, str]:
            return {**self._member.submit(outer.terms, digest).to_dict(), "examples": str(examples)}

        self._answer(question, words, update)

    def _next(self) -> Answer | None:
        """Return the next question, or none when the coordinator is gone."""
        try:
            while (question := self._mailbox.question(_WAIT_SECONDS)) is None:
                pass
        except RuntimeError as error:
            _log.info("the coordinator is gone: %s", error)
            return None
        return question

    def _outer(self, question: Answer) -> Outer | None:
        try:
            terms = RoundTerms.from_dict(question.words)
            state = self._mailbox.weights(question)
        except ValueError:
            state = None
        if state is None:
            # They were taken away again: the round went on without this island.
            return None
        if Weights.of(state).digest != terms.model_digest:
            self._mailbox.answer(question, declined("wrong_digest"), {})
            return None
        return Outer(state, terms, self, question)

    def _words(self, asked: Mapping[str, Any]) -> Mapping[str, str]:
        if asked.get(STAGE) == "identify":
            return self._member.introduce(str(asked.get("audience"))).to_dict()
        terms = RoundTerms.from_dict(asked)
        if asked.get(STAGE) == "pull":
            return self._member.pull(terms).to_dict()
        round_id, digest = self._last
        if asked.get(STAGE) != "submit" or round_id != terms.round_id:
            raise ValueError("nothing was sent to this round")
        return self._member.submit(terms, digest).to_dict()

    def _answer(
        self, question: Answer, words: Callable[[], Mapping[str, str]], tensors: Mapping[str, object] | None = None
    ) -> None:
        try:
            shown = words()
        except ControlPlaneError as error:
            _log.warning("%s is left out: %s", self._member.id, error)
            shown = declined(type(error).__name__.lower())
        except ValueError as error:
            _log.warning("%s declines: %s", self._member.id, error)
            shown = declined("malformed")
        self._mailbox.answer(question, shown, {} if DECLINED in shown else tensors or {})
