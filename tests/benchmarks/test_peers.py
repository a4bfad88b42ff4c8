"""Engines are compared on one policy: whoever answers otherwise is not timed, and nobody is left out."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.peers import building, opa
from benchmarks.peers.__main__ import measure
from benchmarks.peers.building import built, version_of
from benchmarks.peers.cases import REQUIREMENTS, World, world
from benchmarks.peers.engine import Engine, NotThere
from benchmarks.peers.measuring import CHECKED, SEED, Contestant, Size, Start, compared, contestants, differing
from benchmarks.peers.ours import both

SMALL = Size(requests=80, connections=8, runs=1)


@pytest.mark.parametrize("parties", [8, 64])
def test_an_engine_that_forgets_a_requirement_would_be_found(parties: int) -> None:
    questions = world(parties, SEED).questions(CHECKED, SEED)
    assert {one.missing for one in questions} >= {frozenset({name}) for name in REQUIREMENTS}
    assert 0.3 < sum(one.expected for one in questions) / CHECKED < 0.8


async def test_raw_opa_answers_as_the_policy_says_and_is_measured(tmp_path: Path) -> None:
    found = await compared(opa.opa, tmp_path, SMALL)
    assert found.rps > 0.0 and found.p99_ms >= found.p50_ms > 0.0 and found.resident_mib > 5.0


async def test_an_engine_that_answers_otherwise_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "peers.rego").write_text(opa.RULES.read_text().replace("\tinput.context.time < model.closes\n", ""))
    monkeypatch.setattr(opa, "RULES", tmp_path / "peers.rego")
    with pytest.raises(NotThere, match=r"[1-9]\d* of 200 answers are not the policy's, such as .*: yes"):
        await compared(opa.opa, tmp_path / "run", SMALL)


async def test_the_control_plane_answers_as_the_policy_says_with_capabilities_and_without(tmp_path: Path) -> None:
    about = world(8, SEED)
    async with both(about, tmp_path) as engines:
        for engine in engines:
            assert len(engine.tls) == len(about.parties)
            assert await differing(engine, about.questions(40, SEED)) == []


@pytest.mark.parametrize("name", ["cerbos", "openfga"])
async def test_a_peer_that_was_built_answers_as_the_policy_says(name: str, tmp_path: Path) -> None:
    if not building.is_built(name):
        pytest.skip(f"{name} is not built: python -m benchmarks.peers --engine {name}")
    about = world(8, SEED)
    async with contestants()[name].start(about, tmp_path) as engine:
        assert await differing(engine, about.questions(CHECKED, SEED)) == []


async def test_whoever_is_not_there_is_named_with_the_reason_and_the_others_go_on() -> None:
    @asynccontextmanager
    async def absent(_world: World, _folder: Path) -> AsyncIterator[Engine]:
        raise NotThere("it does not build")
        yield

    gone: Start = absent
    found = await measure({"gone": Contestant("Gone", gone), "opa": contestants()["opa"]}, SMALL)
    assert [(row["title"], row["status"], row["reason"]) for row in found["table"]] == [
        ("Gone", "not measured", "it does not build"),
        ("raw OPA", "measured", ""),
    ]
    assert "gone" not in found
    assert found["opa"]["rps"] > 0.0


def _go(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a script stand in for Go, whose builds take minutes."""
    (folder / "go").write_text(f"#!/bin/sh\necho x >> {folder}/called\n{script}\n")
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_peer_is_built_once_of_its_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _go(tmp_path, monkeypatch, 'while [ "$1" != -o ]; do shift; done; echo program > "$2"')
    for _ in range(2):
        assert built("cerbos", tmp_path / "tools").read_text() == "program\n"
    assert (tmp_path / "called").read_text() == "x\n"
    (tmp_path / "tools" / "cerbos.pins").write_text("others")
    built("cerbos", tmp_path / "tools")
    assert (tmp_path / "called").read_text() == "x\nx\n"
    assert version_of("cerbos").startswith("v0.") and version_of("openfga").startswith("v1.")


def test_what_does_not_build_says_why_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _go(tmp_path, monkeypatch, "echo 'go: reading https://proxy.example/x: 403 Forbidden' >&2; exit 1")
    for name, words in (
        ("cerbos", "does not build: go: reading 403 Forbidden$"),
        ("topaz", r"serves none \(403 Forbid"),
    ):
        with pytest.raises(NotThere, match=words):
            built(name, tmp_path / "tools")
    assert not (tmp_path / "tools" / "cerbos.pins").exists()
