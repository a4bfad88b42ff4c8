"""What travels by a store comes as it was, and whatever a party writes there, the other reads on."""

import json
from datetime import timedelta

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined] # it is public, and not listed as such

from adapters.distributed import mailbox
from adapters.distributed.mailbox import Answer, Mailbox, Mailboxes

TENSORS = {
    "half": torch.arange(6.0).reshape(2, 3).bfloat16(),
    "none": torch.zeros(0, 3),
    "scalar": torch.tensor(1.5),
    "w": torch.randn(50, 7),
}


@pytest.fixture
def store() -> HashStore:
    made = HashStore()
    made.set_timeout(timedelta(seconds=2))
    return made


def asked(store: HashStore) -> None:
    """The coordinator asks island 0 something, and does not wait."""
    Mailboxes(store, [0]).ask([0], {"stage": "pull"}, 0.0, None)


@pytest.mark.parametrize("piece", [4, 64, 4 << 20])
def test_tensors_come_as_they_were_whatever_the_pieces(
    store: HashStore, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(mailbox, "PIECE_BYTES", piece)
    asked(store)
    island = Mailbox(store, 0)
    question = island.question(1.0)
    assert question is not None
    assert question.words == {"stage": "pull"}
    island.answer(question, {"said": "yes"}, {**TENSORS, "text": "none"})
    boxes = Mailboxes(store, [0])
    answers = boxes.ask([0], {"stage": "pull"}, 0.2, None)
    assert answers[0].words == {"said": "yes"}
    assert answers[0].specs.keys() == TENSORS.keys()
    received = boxes.receive(0, answers[0])
    assert all(torch.equal(received[name], tensor) for name, tensor in TENSORS.items())
    # They are taken, and not left to fill the store.
    assert boxes.receive(0, answers[0]).keys() <= {"none"}


def test_no_question_is_asked_twice_and_a_late_answer_is_not_given(store: HashStore) -> None:
    boxes, island = Mailboxes(store, [0]), Mailbox(store, 0)
    boxes.tell({"stage": "pull"})
    late = island.question(1.0)
    boxes.tell({"stage": "train"})
    assert late is not None
    keys = store.num_keys()
    island.answer(late, {"said": "late"}, TENSORS)
    assert store.num_keys() == keys
    latest = island.question(1.0)
    assert latest is not None
    assert latest.words == {"stage": "train"}
    assert island.question(0.05) is None


def test_a_tensor_of_another_length_than_was_said_is_left_out(store: HashStore) -> None:
    asked(store)
    island = Mailbox(store, 0)
    question = island.question(1.0)
    assert question is not None
    island.answer(question, {}, {"a": torch.zeros(4), "b": torch.zeros(4), "c": torch.zeros(4)})
    store.set("0/1/tensor/0/0", "longer than sixteen bytes")
    store.delete_key("0/1/tensor/1/0")
    boxes = Mailboxes(store, [0])
    answer = boxes.ask([0], {}, 0.2, None)[0]
    assert boxes.receive(0, answer).keys() == {"c"}


@pytest.mark.parametrize(
    "said",
    [
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"words": 1, "specs": {}}',
        b'{"words": {}, "specs": {"a": ["float32", -1]}}',
        b'{"words": {}, "specs": {"a": ["float32", true]}}',
        b'{"words": {}, "specs": {"a": ["load", 1]}}',
        b'{"words": {}, "specs": {"a": []}}',
        b'{"words": {}, "specs": {"a": [["float32"], 1]}}',
        json.dumps({"words": {"a": "b" * (1 << 20)}, "specs": {}}).encode(),
    ],
)
def test_an_answer_that_cannot_be_read_says_nothing(store: HashStore, said: bytes) -> None:
    store.set("0/1/answer", said)  # type: ignore[arg-type] # bytes are taken
    assert Mailboxes(store, [0]).ask([0], {}, 0.2, None) == {0: Answer(number=1)}
