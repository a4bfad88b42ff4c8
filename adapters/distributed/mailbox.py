"""Questions, answers and tensors by a store of `torch.distributed`: nobody waits in a collective for anybody.

The coordinator is in no process group with islands. With gloo (torch 2.13) a rank that sends a longer message than is
expected ends the process that receives it, in a thread where nothing can catch it (``Received data size doesn't match
expected size``), and a group whose rank hangs is of no use afterwards. In a store each party writes and looks, and a
time that has passed has no effect on the others.

Tensors travel in pieces, as they lie in memory; words come after them.
"""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.distributed import Store  # type: ignore[attr-defined] # it is public, and not listed as such

from adapters.screening.spec import TensorSpec
from adapters.screening.streaming import TYPES

PIECE_BYTES = 4 << 20
"""Of a tensor in one value of the store, which takes 8 MiB at most."""

MOST_WORDS_BYTES = 1 << 20
"""Of an answer's words; what is longer is no answer."""

MOST_TENSORS = 100_000

_GLANCE_SECONDS = 0.01
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in TYPES.values()}
_LATEST, _WEIGHTS = "latest", "weights"

Specs = Mapping[str, TensorSpec]


@dataclass(frozen=True)
class Answer:
    """What an island answered, untrusted.

    Attributes:
        words: texts by name.
        specs: the tensors that it says it sent.
        number: of the question.
    """

    words: Mapping[str, Any] = field(default_factory=dict)
    specs: Specs = field(default_factory=dict)
    number: int = 0


class Mailboxes:
    """The coordinator's side.

    Args:
        store: such as a ``TCPStore`` that this process is the master of.
        islands: their numbers.
    """

    def __init__(self, store: Store, islands: Sequence[int]) -> None:
        self.islands = tuple(islands)
        self._store = store
        self._asked = 0

    def ask(
        self, islands: Iterable[int], question: Mapping[str, str], seconds: float, weights: Mapping[str, Tensor] | None
    ) -> dict[int, Answer]:
        """Ask islands, and return the answers that come in time. A late answer is one to a question of long ago.

        Args:
            islands: whom.
            question: texts by name.
            seconds: that they have.
            weights: that go with it, the same for all; they are gone afterwards.
        """
        self._asked += 1
        keys = [] if weights is None else _put(self._store, f"{_WEIGHTS}/{self._asked}", weights)
        words = json.dumps({"words": dict(question), "specs": {} if weights is None else _told(weights)})
        waiting = set(islands)
        for island in waiting:
            self._store.set(f"{island}/{self._asked}/question", words)
            self._store.set(f"{island}/{_LATEST}", str(self._asked))
        answers: dict[int, Answer] = {}
        deadline = time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            came = {island for island in waiting if self._store.check([self._place(island)])}
            answers.update((island, _read_answer(self._take(self._place(island)), self._asked)) for island in came)
            waiting -= came
            time.sleep(0.0 if came else _GLANCE_SECONDS)
        for key in keys:
            self._store.delete_key(key)
        return answers

    def receive(self, island: int, answer: Answer) -> dict[str, Tensor]:
        """Return the tensors that came with an answer; those of another length than it said are left out.

        Args:
            island: whose.
            answer: whose ``specs`` were looked at: so many bytes are taken in.
        """
        found = {}
        for number, (name, spec) in enumerate(answer.specs.items()):
            tensor = _get(self._store, f"{island}/{answer.number}/tensor/{number}", spec, is_kept=False)
            if tensor is not None:
                found[name] = tensor
        return found

    def tell(self, question: Mapping[str, str]) -> None:
        """Tell all islands something that needs no answer."""
        self.ask(self.islands, question, 0.0, None)

    def _place(self, island: int) -> str:
        return f"{island}/{self._asked}/answer"

    def _take(self, key: str) -> bytes:
        raw = self._store.get(key)
        self._store.delete_key(key)
        return raw


class Mailbox:
    """An island's side.

    Args:
        store: of the coordinator.
        island: the number of this one.
    """

    def __init__(self, store: Store, island: int) -> None:
        self._store = store
        self._island = island
        self._done = 0

    def question(self, seconds: float) -> Answer | None:
        """Wait for the latest question that was not answered yet; none when none comes in time.

        Raises:
            RuntimeError: the store is gone, and the coordinator with it.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._store.check([f"{self._island}/{_LATEST}"]):
                number = int(self._store.get(f"{self._island}/{_LATEST}"))
                if number > self._done:
                    self._done = number
                    return _read_answer(self._store.get(f"{self._island}/{number}/question"), number)
            time.sleep(_GLANCE_SECONDS)
        return None

    def weights(self, question: Answer) -> dict[str, Tensor] | None:
        """Return the weights that came with a question; none when they are gone already."""
        found = {}
        for number, (name, spec) in enumerate(question.specs.items()):
            tensor = _get(self._store, f"{_WEIGHTS}/{question.number}/tensor/{number}", spec, is_kept=True)
            if tensor is None:
                return None
            found[name] = tensor
        return found

    def answer(self, question: Answer, words: Mapping[str, object], tensors: Mapping[str, object]) -> None:
        """Answer, unless another question came meanwhile. What is no tensor is not sent."""
        if int(self._store.get(f"{self._island}/{_LATEST}")) != question.number:
            return
        place = f"{self._island}/{question.number}"
        sent = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
        _put(self._store, place, sent)
        self._store.set(f"{place}/answer", json.dumps({"words": dict(words), "specs": _told(sent)}))


def _put(store: Store, place: str, tensors: Mapping[str, Tensor]) -> list[str]:
    """Leave tensors in the store, piece by piece, and return the keys."""
    keys = []
    for number, tensor in enumerate(tensors.values()):
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        for at, start in enumerate(range(0, len(raw), PIECE_BYTES)):
            keys.append(f"{place}/tensor/{number}/{at}")
            store.set(keys[-1], raw[start : start + PIECE_BYTES].tobytes())  # type: ignore[arg-type] # bytes are taken
    return keys


def _get(store: Store, place: str, spec: TensorSpec, *, is_kept: bool) -> Tensor | None:
    """Return a tensor, or none when a piece is not there or of another length."""
    size = math.prod(spec.shape) * spec.dtype.itemsize
    raw = torch.zeros(size, dtype=torch.uint8)
    for at, start in enumerate(range(0, size, PIECE_BYTES)):
        key, wanted = f"{place}/{at}", min(PIECE_BYTES, size - start)
        if not store.check([key]):
            return None
        piece = store.get(key)
        if not is_kept:
            store.delete_key(key)
        if len(piece) != wanted:
            return None
        raw[start : start + wanted] = torch.frombuffer(bytearray(piece), dtype=torch.uint8)
    return raw.view(spec.dtype).reshape(spec.shape) if size else torch.zeros(spec.shape, dtype=spec.dtype)


def _told(tensors: Mapping[str, Tensor]) -> dict[str, list[object]]:
    return {name: [str(one.dtype).removeprefix("torch."), *one.shape] for name, one in tensors.items()}


def _read_answer(raw: bytes, number: int) -> Answer:
    """Return what was said; nothing of what cannot be read."""
    try:
        if len(raw) > MOST_WORDS_BYTES:
            return Answer(number=number)
        found = json.loads(raw)
        specs = {name: _spec(said) for name, said in found["specs"].items()}
        return Answer(dict(found["words"]), specs if len(specs) <= MOST_TENSORS else {}, number)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Answer(number=number)


def _spec(said: Sequence[Any]) -> TensorSpec:
    name, *shape = said
    if not all(type(one) is int and 0 <= one < 2**40 for one in shape):
        raise ValueError("no description of a tensor")
    return TensorSpec(tuple(shape), _DTYPES[name])
