"""An archive that somebody changed: whatever it is, verification says so, and nothing is rebuilt from it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from adapters.rollback import (
    Aggregated,
    ArchiveDamaged,
    DeltaArchive,
    Done,
    Stopped,
    TooLarge,
    Verified,
    signing,
    verify,
)
from adapters.rollback.manifest import RebuildProgress
from adapters.rollback.signing import open_token, sign
from controlplane.jose.keys import DeviceKey
from tests.adapters.rollback.rounds import (
    KEY,
    MEAN,
    MODEL,
    asked,
    contributed,
    equal,
    filled,
    round_of,
    start,
    update,
    without,
)

ROUNDS = {"r1": ["a", "b", "x"], "r2": ["a", "x"], "r3": ["a", "b", "c"]}
NAME = f"dev-{KEY.thumbprint}"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    filled(folder, ROUNDS)
    with DeltaArchive(folder, KEY) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        archive.accept(rebuilt)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "archive")
    return tmp_path / "archive"


def verified(folder: Path) -> Verified:
    """As somebody verifies who knows the aggregator's name alone."""
    return verify(folder, NAME)


def refused(folder: Path, expected: str) -> None:
    found = verified(folder)
    assert not found.holds
    assert any(expected in fault for fault in found.faults), found.faults


def test_an_archive_that_nobody_touched_holds(folder: Path) -> None:
    found = verified(folder)
    assert (found.faults, found.signers, found.replayed, len(found.entries)) == ((), (NAME,), 3, 4)


def test_another_update_in_the_place_of_one_is_refused(folder: Path) -> None:
    save_file(update(99), folder / "entries/00000001/0000.safetensors")
    refused(folder, "round r2: 0000.safetensors does not hold what was signed")
    with DeltaArchive(folder, KEY) as archive, pytest.raises(ArchiveDamaged, match=r"0000\.safetensors"):
        archive.rebuild(asked(["b"], "r1"))


def test_two_updates_that_changed_places_are_refused(folder: Path) -> None:
    one, other = folder / "entries/00000000/0000.safetensors", folder / "entries/00000000/0001.safetensors"
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    refused(folder, "round r1")


def test_an_update_that_is_missing_is_refused(folder: Path) -> None:
    (folder / "entries/00000002/0002.safetensors").unlink()
    refused(folder, "round r3: entries/00000002/0002.safetensors is missing")


def test_a_file_with_something_else_in_it_is_refused(folder: Path) -> None:
    (folder / "entries/00000002/0001.safetensors").write_bytes(b"\xff" * 200)
    refused(folder, "cannot be read as tensors")


def test_other_weights_are_refused(folder: Path) -> None:
    for path in (folder / "weights").iterdir():
        save_file({"weight": torch.zeros(6, 4), "bias": torch.zeros(6)}, path)
    refused(folder, "does not hold what was signed")


def test_a_token_of_another_key_is_refused(folder: Path) -> None:
    with DeltaArchive(folder, KEY) as archive:
        entry = archive.entries[1]
    (folder / "entries/00000001/token.jws").write_text(sign(DeviceKey.generate(), entry))
    refused(folder, f"and should be by {NAME}")
    with pytest.raises(ArchiveDamaged):
        DeltaArchive(folder, KEY)


def test_a_signature_that_is_not_over_the_payload_is_refused(folder: Path) -> None:
    path = folder / "entries/00000001/token.jws"
    first, second = path.read_text().split("."), (folder / "entries/00000000/token.jws").read_text().split(".")
    path.write_text(".".join([first[0], second[1], first[2]]))
    refused(folder, f"is not what {NAME} signed")


def test_an_entry_that_was_taken_out_or_moved_is_missed(folder: Path) -> None:
    shutil.rmtree(folder / "entries/00000001")
    refused(folder, "those since 0 are missing")
    (folder / "entries/00000002").rename(folder / "entries/00000001")
    refused(folder, "entry 1 was signed as 2")
    refused(folder, "entry 1 does not follow the one before it")


def test_a_signed_round_that_does_not_follow_is_refused(folder: Path) -> None:
    """Whoever has the key, or had it, cannot put another round in the place of one without breaking the chain."""
    with DeltaArchive(folder, KEY) as archive:
        changed = archive.entries[1].model_copy(update={"time": 1.0})
    (folder / "entries/00000001/token.jws").write_text(sign(KEY, changed))
    refused(folder, "entry 2 does not follow the one before it")


def test_a_round_whose_signed_weights_do_not_come_of_its_updates_is_refused(folder: Path) -> None:
    with DeltaArchive(folder, KEY) as archive:
        last = archive.entries[2].model_copy(update={"weights_after": "sha256:" + "0" * 64})
    (folder / "entries/00000002/token.jws").write_text(sign(KEY, last))
    refused(folder, "round r3: done again, it gives other weights than were signed")


def test_a_rollback_that_left_somebody_in_is_refused(folder: Path) -> None:
    """The rebuilt model has to be the one that the record says."""
    with DeltaArchive(folder, KEY) as archive:
        rollback = archive.entries[3]
    assert rollback.kind == "rollback"
    replayed = [one.model_copy(update={"left_out": []}) for one in rollback.replayed]
    (folder / "entries/00000003/token.jws").write_text(sign(KEY, rollback.model_copy(update={"replayed": replayed})))
    refused(folder, "round r1: done again without those who were left out, it gives other weights than were signed")
    elsewhere = rollback.model_copy(update={"weights_after": "sha256:" + "1" * 64})
    (folder / "entries/00000003/token.jws").write_text(sign(KEY, elsewhere))
    refused(folder, "does not lead to what follows it")


def test_an_unclipped_update_must_be_the_one_that_evidence_named(tmp_path: Path) -> None:
    done = round_of("r1", start(), ["a", "b"], MEAN)
    other = [contributed("a", done.updates[0].update, 5, update_digest="sha256:" + "2" * 64), done.updates[1]]
    with DeltaArchive(tmp_path, KEY) as archive:
        archive.record(Aggregated("r1", MODEL, done.before, done.after, other, done.recipes))
        assert archive.verify().faults == ("round r1: the update of a is another than it submitted",)


def half_a_token(folder: Path) -> None:
    (folder / "progress.jws").write_text("eyJ")


def no_text(folder: Path) -> None:
    (folder / "progress.jws").write_bytes(b"\xff")


def another_token(folder: Path) -> None:
    shutil.copy(folder / "entries/00000001/token.jws", folder / "progress.jws")


def signed_by_another(folder: Path) -> None:
    payload, _ = open_token((folder / "progress.jws").read_text(), NAME)
    (folder / "progress.jws").write_text(sign(DeviceKey.generate(), RebuildProgress.model_validate(payload)))


def other_weights(folder: Path) -> None:
    payload, _ = open_token((folder / "progress.jws").read_text(), NAME)
    reached = RebuildProgress.model_validate(payload).replayed[-1].weights_after
    (folder / "weights" / f"{reached.removeprefix('sha256:')}.safetensors").write_bytes(b"\x00" * 64)


@pytest.mark.parametrize("damage", [half_a_token, no_text, another_token, signed_by_another, other_weights])
def test_progress_that_does_not_read_is_none_and_the_model_is_rebuilt(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    done = filled(tmp_path, ROUNDS)
    with DeltaArchive(tmp_path, KEY) as archive, pytest.raises(Stopped):
        archive.rebuild(asked(["x"], "r1"), progress=lambda so_far, _: so_far < 2)
    damage(tmp_path)
    seen: list[int] = []
    with DeltaArchive(tmp_path, KEY) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1"), progress=lambda so_far, _: seen.append(so_far))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x"], "r1"))
        archive.accept(rebuilt)
    assert seen[0] == 0
    assert "begins anew" in caplog.text
    assert verified(tmp_path).holds


def test_what_would_not_be_read_again_is_not_signed_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = filled(tmp_path, ROUNDS)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(signing, "MOST_CHARS", 600)
    with pytest.raises(ArchiveDamaged):
        DeltaArchive(tmp_path, KEY)
    monkeypatch.undo()
    with DeltaArchive(tmp_path, KEY, rounds=3) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        between = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(signing, "MOST_CHARS", 600)
        with pytest.raises(TooLarge, match="Keep fewer rounds"):
            archive.record(round_of("r4", done["r3"].after, ["a", "b"], MEAN))
        with pytest.raises(TooLarge):
            archive.accept(rebuilt)
        assert sorted(tmp_path.rglob("*")) == between
        (tmp_path / "progress.jws").unlink()
        with pytest.raises(TooLarge):
            archive.rebuild(asked(["b"], "r1"))
        assert not (tmp_path / "progress.jws").exists()
    monkeypatch.undo()
    assert set(before) <= set(tmp_path.rglob("*"))
    assert verified(tmp_path).holds


def ordered(folder: Path, **options: object) -> Done:
    """Roll back by an order of the control plane, which is told at once."""
    with DeltaArchive(folder, KEY, **options) as archive:  # type: ignore[arg-type]
        rebuilt = archive.rebuild(asked(["x"], "r1", "rb-1"))
        assert rebuilt is not None
        record = archive.accept(rebuilt)
    return Done("rb-1", record.weights_after, record.time + 1.0)


def test_an_end_that_was_cut_off_is_missed_by_whoever_knows_what_was_done(tmp_path: Path) -> None:
    filled(tmp_path, ROUNDS)
    done = ordered(tmp_path)
    assert verify(tmp_path, NAME, last_done=done).holds
    assert not verify(tmp_path, NAME, last_done=replace(done, digest="sha256:" + "0" * 64)).holds
    for number in (3, 2, 1, 0):
        shutil.rmtree(tmp_path / f"entries/{number:08d}")
        assert verified(tmp_path).holds
        found = verify(tmp_path, NAME, last_done=done)
        assert any("cut off" in fault for fault in found.faults)


@pytest.mark.parametrize("late", [0.0, 100.0])
def test_an_order_that_was_carried_out_before_all_that_is_kept_is_not_missed(tmp_path: Path, late: float) -> None:
    now = iter(range(1000, 2000, 10))
    filled(tmp_path, ROUNDS, clock=lambda: float(next(now)))
    done = ordered(tmp_path, clock=lambda: float(next(now)))
    with DeltaArchive(tmp_path, KEY, rounds=2, clock=lambda: float(next(now))) as archive:
        state = archive.weights(done.digest)
        for name in ("r4", "r5"):
            archive.record(one := round_of(name, state, ["a", "b"], MEAN))
            state = dict(one.after)
        assert [entry.kind for entry in archive.entries] == ["round", "round"]
    assert verify(tmp_path, NAME, last_done=replace(done, ended_at=done.ended_at + late)).holds


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 10_000), where=st.integers(0, 10_000_000), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, which: int, where: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped") / "archive"
    shutil.copytree(sound, folder)
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".jws", ".safetensors"})
    path = files[which % len(files)]
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= 1 << bit
    path.write_bytes(content)
    found = verified(folder)
    # What a header says of a tensor that is read as the same tensor makes no difference.
    assert not found.holds or _same_tensors(path, sound / path.relative_to(folder)), path


def _same_tensors(one: Path, other: Path) -> bool:
    if one.suffix != ".safetensors":
        return False
    found, expected = load_file(one), load_file(other)
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@settings(max_examples=30, deadline=None)
@given(
    text=st.text(alphabet='abc.{}"0_-', max_size=200) | st.builds(json.dumps, st.dictionaries(st.text(), st.integers()))
)
def test_no_text_is_taken_for_a_token(text: str) -> None:
    with pytest.raises(ArchiveDamaged):
        open_token(text, None)
