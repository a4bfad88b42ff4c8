"""Letting peers in, with real members behind them and a real guard; what carries the questions is a mapping."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from torch import Tensor

from adapters.admission import DECLINED, STAGE, Admission, Admitted, Answer, declined
from adapters.credentials import RoundTerms
from adapters.guard import Guard, Member

Enrol = Callable[..., Member]
Say = Callable[[Mapping[str, str]], Answer]


def speaking_for(member: Member, *, pulls_for: Member | None = None) -> Say:
    """Return an honest peer's answers, but for whose credentials it shows to pull."""

    def say(question: Mapping[str, str]) -> Answer:
        if question[STAGE] == "identify":
            return member.introduce(question["audience"]).to_dict()
        return (pulls_for or member).pull(RoundTerms.from_dict(question)).to_dict()

    return say


class Peers:
    """Peers by number; each question is kept, with whom it went to."""

    def __init__(self, *says: Say) -> None:
        self.says = dict(enumerate(says))
        self.asked: list[tuple[str, list[int]]] = []

    def ask(self, peers: Sequence[int], question: Mapping[str, str]) -> dict[int, Answer]:
        self.asked.append((question[STAGE], list(peers)))
        return {peer: self.says[peer](question) for peer in peers if peer in self.says}


def opened(admission: Admission[int], peers: Peers, state: dict[str, Tensor], *names: int) -> Admitted[int]:
    found = admission.open(peers.ask, names or list(peers.says), state, "label")
    assert found is not None
    return found


def test_peers_are_asked_who_they_are_once_and_for_their_right_to_pull_in_each_round(
    guard: Guard, enrol: Enrol, state: dict[str, Tensor]
) -> None:
    first, second = enrol("trainer"), enrol("trainer")
    peers, admission = Peers(speaking_for(first), speaking_for(second)), Admission[int](guard, 600.0)
    for _ in range(2):
        assert opened(admission, peers, state, 0, 1, 1).subjects == {0: first.id, 1: second.id}
    assert peers.asked == [("identify", [0, 1]), ("pull", [0, 1]), ("pull", [0, 1])]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [(None, "failed"), (declined("x" * 100), "declined"), ({}, "malformed"), ({"a": 1}, "malformed")],
)
def test_a_peer_without_a_pull_is_left_out_and_the_report_says_why(
    guard: Guard, enrol: Enrol, state: dict[str, Tensor], answer: Answer, cause: str
) -> None:
    honest, other = enrol("trainer"), enrol("trainer")
    say = speaking_for(other)
    peers = Peers(speaking_for(honest), lambda question: say(question) if question[STAGE] == "identify" else answer)
    assert opened(Admission[int](guard, 600.0), peers, state).subjects == {0: honest.id}
    assert guard.report.drops == {("pull", cause): 1}


def test_a_peer_that_gives_no_answer_is_absent(guard: Guard, enrol: Enrol, state: dict[str, Tensor]) -> None:
    honest = enrol("trainer")
    admitted = opened(Admission[int](guard, 600.0), Peers(speaking_for(honest)), state, 0, 7)
    assert (admitted.subjects, guard.report.drops) == ({0: honest.id}, {("identify", "absent"): 1})


def test_a_peer_that_shows_another_s_credentials_is_left_out_and_asked_anew_who_it_is(
    guard: Guard, enrol: Enrol, state: dict[str, Tensor]
) -> None:
    honest, thief = enrol("trainer"), enrol("trainer")
    peers, admission = Peers(speaking_for(honest), speaking_for(thief, pulls_for=honest)), Admission[int](guard, 600.0)
    assert opened(admission, peers, state).subjects == {0: honest.id}
    assert guard.report.drops == {("pull", "wrong_subject"): 1}
    peers.says[1] = speaking_for(thief)
    assert opened(admission, peers, state).subjects == {0: honest.id, 1: thief.id}
    assert [one for one in peers.asked if one[0] == "identify"] == [("identify", [0, 1]), ("identify", [1])]


def test_behind_a_bound_name_only_its_own_subject_stands(guard: Guard, enrol: Enrol, state: dict[str, Tensor]) -> None:
    honest, other = enrol("trainer"), enrol("trainer")
    admission = Admission[int](guard, 600.0, {0: honest.id, 1: "dev-somebody"})
    assert opened(admission, Peers(speaking_for(honest), speaking_for(other)), state).subjects == {0: honest.id}
    assert guard.report.drops == {("admit", "not_invited"): 1}


def test_where_nobody_says_who_it_is_there_is_no_round(guard: Guard, state: dict[str, Tensor]) -> None:
    said: list[Any] = []
    assert Admission[int](guard, 600.0).open(lambda peers, question: said.append(peers) or {}, [], state, "x") is None
    assert said == []


def test_why_a_peer_declined_is_a_word() -> None:
    assert len(declined("x" * 100)[DECLINED]) == 64
