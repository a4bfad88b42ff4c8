"""What was decided stays as it was, or it shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.site.chain import Chain, Decider, Mark
from adapters.site.deciding import Ruling, faulty
from adapters.site.errors import SiteFault
from controlplane.capabilities.statements import statement_digest
from controlplane.contracts.site import ModelInFacts
from controlplane.jose.keys import DeviceKey
from tests.controlplane.contracts.samples import SITE_SAMPLES

FACTS = ModelInFacts.model_validate(SITE_SAMPLES["model_in"])
DECIDER = Decider("sha256:" + "a" * 64, "abc.0123")


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    found = Chain(tmp_path / "state", DeviceKey.generate())
    for number in range(4):
        found.append(FACTS, Ruling(True, ()) if number % 2 else faulty("policy_late"), DECIDER, 1000.0 + number)
    return found


def changed(chain: Chain, place: int, **change: Any) -> None:
    lines = chain.path.read_text().splitlines()
    lines[place] = json.dumps({**json.loads(lines[place]), **change})
    chain.path.write_text("\n".join(lines) + "\n")


def test_decisions_follow_one_another(chain: Chain) -> None:
    assert chain.verify() == 4
    assert [line.decision.sequence for line in chain.read()] == [1, 2, 3, 4]
    assert [line.decision.outcome for line in chain.read(2)] == ["veto", "allow"]
    assert chain.path.stat().st_mode & 0o777 == 0o600


def test_what_is_told_holds_nothing_of_the_facts(chain: Chain) -> None:
    told = chain.read()[0].decision.model_dump_json()
    assert "epsilon" not in told
    assert str(FACTS.resource.properties.size_bytes) not in told
    digests = {line.decision.facts_digest for line in chain.read()}
    assert len(digests) == 4, "the same facts twice are not told to be the same"


def test_a_decision_that_is_taken_out_is_missed(chain: Chain) -> None:
    lines = chain.path.read_text().splitlines(keepends=True)
    for place in range(3):
        chain.path.write_text("".join(lines[:place] + lines[place + 1 :]))
        with pytest.raises(SiteFault, match="does not follow"):
            chain.verify()


def test_facts_that_are_changed_show(chain: Chain) -> None:
    changed(chain, 1, facts={"context": {}})
    with pytest.raises(SiteFault, match=":2 does not follow, or was changed"):
        chain.verify()


def test_another_key_writes_no_line(chain: Chain, tmp_path: Path) -> None:
    other = Chain(tmp_path / "other", DeviceKey.generate())
    other.append(FACTS, Ruling(True, ()), DECIDER, 1003.0)
    changed(chain, 3, statement=other.read()[0].statement)
    with pytest.raises(SiteFault, match="did not sign"):
        chain.verify()
    with pytest.raises(SiteFault):
        chain.append(FACTS, Ruling(True, ()), DECIDER, 1004.0)


@pytest.mark.parametrize("torn", [b"{", b'{"statement":"x","facts":{}}', b"\xff" * 100])
def test_half_a_line_of_a_power_cut_is_cut_off(chain: Chain, torn: bytes) -> None:
    with chain.path.open("ab") as file:
        file.write(torn)
    assert chain.verify() == 4
    chain.append(FACTS, Ruling(True, ()), DECIDER, 1004.0)
    assert chain.verify() == 5


def test_a_file_of_nothing_but_half_a_line_begins_anew(tmp_path: Path) -> None:
    chain = Chain(tmp_path, DeviceKey.generate())
    chain.path.write_bytes(b"{")
    chain.append(FACTS, Ruling(True, ()), DECIDER, 1.0)
    assert chain.verify() == 1


@pytest.mark.parametrize("whole", [b"\n", b"x\n", b'{"statement":1,"facts":{}}\n', b"[" * 5000 + b"\n", b"y" * 70_000])
def test_a_line_that_is_none_is_not_added_to(chain: Chain, whole: bytes) -> None:
    with chain.path.open("ab") as file:
        file.write(whole)
    with pytest.raises(SiteFault):
        chain.append(FACTS, Ruling(True, ()), DECIDER, 1004.0)


def test_decisions_after_a_mark_are_those_and_where_they_begin(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, start = chain.after(Mark())
    assert ([line.decision.sequence for line in lines], start) == ([1, 2, 3, 4], 0)
    digest = statement_digest(lines[1].statement)
    mark = Mark(2, lines[0].size + lines[1].size, digest)
    assert [line.decision.sequence for line in chain.after(mark)[0]] == [3, 4]
    for off in (0, 5, 10**9):
        lines, start = chain.after(Mark(2, off, digest))
        assert ([line.decision.sequence for line in lines], start) == ([3, 4], mark.offset), (
            "a mark that is off is found"
        )
    monkeypatch.setattr("adapters.site.chain.MAX_PENDING", 1)
    lines, start = chain.after(mark)
    assert [line.decision.sequence for line in lines] == [4]
    assert start == chain.path.stat().st_size - lines[0].size


def test_after_the_last_there_is_nothing(chain: Chain) -> None:
    lines, _ = chain.after(Mark())
    end = Mark(4, chain.path.stat().st_size, statement_digest(lines[-1].statement))
    assert chain.after(end)[0] == []


@pytest.mark.parametrize("number", [1, 4, 6])
def test_a_record_that_was_begun_anew_is_handed_in_from_its_beginning(chain: Chain, number: int) -> None:
    lines, _ = chain.after(Mark())
    end = Mark(4, chain.path.stat().st_size, statement_digest(lines[-1].statement))
    chain.path.unlink()
    for place in range(number):
        chain.append(FACTS, Ruling(True, ()), DECIDER, 2000.0 + place)
    assert [line.decision.sequence for line in chain.after(end)[0]] == list(range(1, number + 1))
