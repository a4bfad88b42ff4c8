from typing import Any

import pytest

from controlplane.contracts.facts.other import CandidatesQuery
from controlplane.contracts.identity import Device
from controlplane.decisions.candidates import Candidates, CandidatesUnavailable
from controlplane.decisions.engine import Answer, Answered, Unanswered
from tests.controlplane.contracts.samples import SAMPLES

DEVICE = Device.model_validate(dict(SAMPLES)[Device])


class Engine:
    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, [("", b"")]

    async def ask(self, package: str, facts: bytes) -> Answer:
        self.asked.append((package, facts))
        return self.answer


class Devices:
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def page(self, after: str, limit: int) -> list[Device]:
        self.asked.append((after, limit))
        return [DEVICE]


def query(**changes: Any) -> CandidatesQuery:
    stated = {"kind": "resource", "subject_type": "user", "resource_type": "door", "after": "b", "limit": 3}
    return CandidatesQuery.model_validate({**stated, **changes})


async def test_names_come_from_the_policy_bundle() -> None:
    engine = Engine(Answered(["c", "d"], "rev"))
    found = await Candidates(engine, Devices()).list(query())
    assert [(candidate.name, candidate.device) for candidate in found] == [("c", None), ("d", None)]
    package, facts = engine.asked[-1]
    assert (package, CandidatesQuery.model_validate_json(facts)) == ("candidates", query())


async def test_devices_come_from_the_registry_and_policy_is_not_asked() -> None:
    engine, devices = Engine(Unanswered("unreachable")), Devices()
    found = await Candidates(engine, devices).list(query(kind="subject", subject_type="device"))
    assert [(candidate.name, candidate.device) for candidate in found] == [(DEVICE.id, DEVICE)]
    assert devices.asked == [("b", 3)]


async def test_a_device_that_asks_is_not_what_is_looked_for() -> None:
    devices = Devices()
    await Candidates(Engine(Answered([], "rev")), devices).list(query(kind="action", subject_type="device"))
    assert devices.asked == []


@pytest.mark.parametrize(
    "document",
    [
        None, {}, "c", ["c", 1], [["c"]], ["c", None], ["c\n"], [""], ["x" * 513],
        ["c", "d", "e", "f"], ["d", "c"], ["c", "c"], ["b"], ["a"],
    ],
)  # fmt: skip
async def test_what_is_no_page_of_names_is_no_answer(document: Any) -> None:
    with pytest.raises(CandidatesUnavailable) as raised:
        await Candidates(Engine(Answered(document, "rev")), Devices()).list(query())
    assert raised.value.cause == "malformed"


async def test_without_the_engine_there_is_no_answer() -> None:
    with pytest.raises(CandidatesUnavailable, match="deadline"):
        await Candidates(Engine(Unanswered("deadline")), Devices()).list(query())
