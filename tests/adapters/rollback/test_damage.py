"""An archive that somebody changed: whatever it is, verification says so, and nothing is rebuilt from it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from adapters.rollback import Aggregated, ArchiveDamaged, DeltaArchive, Verified, verify
from adapters.rollback.signing import open_token, sign
from controlplane.capabilities.keys import DeviceKey
from tests.adapters.rollback.rounds import KEY, MEAN, MODEL, asked, contributed, filled, round_of, start, update

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


def test_progress_that_somebody_else_signed_is_not_gone_on_from(folder: Path) -> None:
    (folder / "progress.jws").write_text(sign(DeviceKey.generate(), DeltaArchive(folder).entries[0]))
    with DeltaArchive(folder, KEY) as archive, pytest.raises(ArchiveDamaged, match="should be by"):
        archive.rebuild(asked(["a"], "r1"))


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
