"""How many tokens an exchange used, and the reservation that they are settled against."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from math import ceil

from adapters.gateway.interfaces import Budgets, Exhausted, Reservation
from adapters.gateway.proxy.endpoints import Question, Usage
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.refusing import exhausted
from adapters.web.admission import Admitted

_log = logging.getLogger("ztfm.proxy")
_settling: set[asyncio.Task[None]] = set()


class Tally:
    """Counts what one exchange used: what the upstream states, else what went by.

    Args:
        prompt_bytes: of the prompt.
        question: says how many tokens prompt and answer have at most; what is estimated is no more than that.
        limits: bounds; by which tokens are counted.
    """

    def __init__(self, prompt_bytes: int, question: Question, limits: Limits) -> None:
        self._prompt = min(ceil(prompt_bytes / limits.bytes_per_token), question.prompt_tokens)
        self._question = question
        self._limits = limits
        self._stated: Usage | None = None
        self._bytes = 0
        self._pieces = 0
        self.is_asked = False
        """Whether the upstream was sent the prompt, so that it may have read it."""

    def said(self, texts: Iterable[str]) -> None:
        """Count texts of the answer that came together."""
        if not self.is_asked:
            # The words of an upstream that refuses are none of the model's.
            return
        size = sum(len(text.encode()) for text in texts)
        self._bytes += size
        self._pieces += bool(size)

    def state(self, usage: Usage | None) -> None:
        """Take what the upstream states, once or again and again: of all that was said so far. It never gets less."""
        if usage is None:
            return
        before = self._stated or Usage(0, 0)
        self._stated = Usage(max(before.prompt, usage.prompt), max(before.output, usage.output))
        # What is said from now on comes on top: an answer that is cut has no last word.
        self._bytes = self._pieces = 0

    @property
    def input_tokens(self) -> int:
        """Of the prompt; none where the upstream never had it."""
        if self._stated is not None:
            return self._stated.prompt
        return self._prompt if self.is_asked else 0

    @property
    def output_tokens(self) -> int:
        """Of the answer, as far as it came."""
        stated, most = 0 if self._stated is None else self._stated.output, self._question.output_tokens
        return max(stated, min(stated + self._estimated, most))

    def exceeds(self) -> bool:
        """Whether the answer is too long. Of an upstream that was told how long it may be, this finds a broken one."""
        stated, most = 0 if self._stated is None else self._stated.output, self._question.output_tokens
        if stated > most:
            return True
        return self._pieces > 2 * most + 16 if self._question.is_limited else stated + self._estimated > most

    @property
    def _estimated(self) -> int:
        """Tokens that were said since the upstream stated any. Each piece of an answer that runs is one at least."""
        return max(self._pieces, ceil(self._bytes / self._limits.bytes_per_token))

    @property
    def tokens(self) -> int:
        """Both."""
        return self.input_tokens + self.output_tokens


@asynccontextmanager
async def reserved(
    budgets: Budgets, admitted: Admitted, question: Question, tally: Tally
) -> AsyncIterator[Reservation]:
    """Take tokens and a request before the block, and settle after it what the tally counted, however it ends.

    Raises:
        Refused: a budget does not reach, or could not be asked.
    """
    taking = asyncio.ensure_future(budgets.reserve(admitted, question.prompt_tokens, question.output_tokens))
    try:
        taken = await asyncio.shield(taking)
    except asyncio.CancelledError:
        # Whoever asked is gone; what is taken meanwhile is given back.
        taking.add_done_callback(lambda done: _give_back(budgets, done))
        raise
    if isinstance(taken, Exhausted):
        raise exhausted(taken)
    try:
        yield taken
    finally:
        await asyncio.shield(_settle(budgets, taken, tally.tokens))


def _give_back(budgets: Budgets, done: "asyncio.Future[Reservation | Exhausted]") -> None:
    if not done.cancelled() and done.exception() is None and isinstance(taken := done.result(), Reservation):
        _settle(budgets, taken, 0)


def _settle(budgets: Budgets, taken: Reservation, tokens: int) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(budgets.settle(taken, tokens))
    # The loop alone would let it be collected before it is done.
    _settling.add(task)
    task.add_done_callback(_settling.discard)
    return task
