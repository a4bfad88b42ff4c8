import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.jobs.tensorfile import stored_in
from adapters.sealed.errors import UnfitWeightsError
from adapters.sealed.opening import SealedWeights, open_weights, weights_in_memory
from adapters.sealed.planning import TYPES
from adapters.sealed.sealing import seal_weights, select
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.shards import read_preamble, shard_secret
from tests.adapters.sealed.weights import GROUPS, MODEL_KEY, SHAPES, secrets_of, write_weights

CHUNK = 4096


def sealed_at(
    folder: Path, name: str = "m", *, seed: int = 0, model: str = "m", round_id: str = "r-7", revision: str = "rev-1"
) -> Path:
    plain, out = folder / f"{name}.safetensors", folder / f"{name}.sealed"
    write_weights(plain, seed)
    known = {"model": model, "round_id": round_id, "policy_revision": revision}
    seal_weights(plain, out, GROUPS, secrets_of(), chunk_bytes=CHUNK, **known)
    return out


def read_back(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file:
        stored = stored_in(file, TYPES)
        found = {}
        for tensor in stored:
            assert tensor.start % tensor.value_bytes == 0
            file.seek(tensor.start)
            found[tensor.name] = file.read(tensor.size_bytes)
    return found


def opens(path: Path, shards: tuple[str, ...] = ("adapter", "head", "encoder"), **wanted: str) -> dict[str, bytes]:
    """Open a file as a device does that wants one model's weights, and return its tensors."""
    known = secrets_of()
    with SealedWeights(path) as sealed:
        sealed.require(**{"model": "m", "round_id": "r-7", "policy_revision": "rev-1", **wanted})
        open_weights(sealed, {name: known[name] for name in shards}, path.with_suffix(".opened"))
    return read_back(path.with_suffix(".opened"))


def test_all_shards_together_are_the_weights_again(tmp_path: Path) -> None:
    values = write_weights(tmp_path / "same.safetensors")
    assert opens(sealed_at(tmp_path)) == values
    assert stat.S_IMODE((tmp_path / "m.opened").stat().st_mode) == 0o600


def test_some_shards_are_their_tensors_and_no_others(tmp_path: Path) -> None:
    values = write_weights(tmp_path / "same.safetensors")
    found = opens(sealed_at(tmp_path), ("adapter",))
    assert found == {name: value for name, value in values.items() if "lora" in name}


def test_no_value_is_in_the_sealed_file_in_the_clear(tmp_path: Path) -> None:
    sealed = sealed_at(tmp_path).read_bytes()
    for value in write_weights(tmp_path / "same.safetensors").values():
        assert len(value) < 16 or value[:16] not in sealed
    assert b"lora" not in sealed


def test_a_tensor_is_read_by_itself_though_other_chunks_are_broken(tmp_path: Path) -> None:
    path = sealed_at(tmp_path)
    values = write_weights(tmp_path / "same.safetensors")
    with SealedWeights(path) as sealed:
        place = sealed.preamble.places()["encoder"]
    raw = bytearray(path.read_bytes())
    raw[place.start + place.size - 1] ^= 1
    path.write_bytes(raw)
    with SealedWeights(path) as sealed:
        shard = sealed.shard("encoder", secrets_of()["encoder"])
        assert shard.tensor("encoder.step") == values["encoder.step"]
        assert shard.tensor("encoder.empty") == b""
        with pytest.raises(SealRefused):
            shard.tensor("encoder.1.weight")
        with pytest.raises(KeyError):
            shard.tensor("head.bias")


def test_weights_are_opened_into_memory_alone(tmp_path: Path) -> None:
    path = sealed_at(tmp_path)
    with SealedWeights(path) as sealed:
        before = set(tmp_path.iterdir())
        memory = weights_in_memory(sealed, secrets_of())
    assert set(tmp_path.iterdir()) == before
    (tmp_path / "copy").write_bytes(memory[:])
    assert read_back(tmp_path / "copy") == write_weights(tmp_path / "same.safetensors")


def test_a_file_with_few_shards_opens_and_holds_nothing_of_the_others(tmp_path: Path) -> None:
    path, few = sealed_at(tmp_path), tmp_path / "few.sealed"
    select(path, few, ["adapter"])
    assert opens(few, ("adapter",)) == {
        name: value for name, value in write_weights(tmp_path / "same.safetensors").items() if "lora" in name
    }
    with SealedWeights(path) as sealed:
        places = sealed.preamble.places()
    assert path.read_bytes()[places["head"].start :][:64] not in few.read_bytes()
    for shards in (("head",), ("adapter", "head")):
        with pytest.raises(SealRefused, match="not in the file"):
            opens(few, shards)
    with pytest.raises(SealRefused, match="not head"):
        select(few, tmp_path / "none", ["head"])


def test_the_secret_of_one_shard_opens_no_other(tmp_path: Path) -> None:
    known = secrets_of()
    assert len(set(known.values())) == 3
    with SealedWeights(sealed_at(tmp_path)) as sealed:
        for name in GROUPS:
            for other in GROUPS:
                if name != other:
                    with pytest.raises(SealRefused):
                        sealed.shard(name, known[other]).tensors()
        with pytest.raises(SealRefused):
            sealed.shard("head", shard_secret(MODEL_KEY, "another-model", "head")).tensors()


@pytest.mark.parametrize("wanted", [{"model": "n"}, {"round_id": "r-8"}, {"policy_revision": "rev-2"}])
def test_weights_of_another_model_round_or_revision_are_refused(tmp_path: Path, wanted: dict[str, str]) -> None:
    with pytest.raises(SealRefused, match="another"):
        opens(sealed_at(tmp_path), **wanted)


@pytest.mark.parametrize("name", [b'"m"', b'"r-7"', b'"rev-1"'])
def test_a_header_that_was_rewritten_opens_nothing(tmp_path: Path, name: bytes) -> None:
    path = sealed_at(tmp_path)
    path.write_bytes(path.read_bytes().replace(name, name[:-2] + b'x"', 1))
    with SealedWeights(path) as sealed, pytest.raises(SealRefused, match="does not open"):
        sealed.shard("head", secrets_of()["head"]).tensors()


def test_a_shard_of_another_file_does_not_open_in_this_one(tmp_path: Path) -> None:
    here = sealed_at(tmp_path)
    for number, known in enumerate(({}, {"round_id": "r-8"}, {"revision": "rev-2"}, {"model": "n"})):
        there = sealed_at(tmp_path, f"other-{number}", **known)
        with SealedWeights(here) as one, SealedWeights(there) as other:
            place, from_there = one.preamble.places()["head"], other.preamble.places()["head"]
            raw = bytearray(one.raw)
            raw[place.start : place.start + place.size] = other.raw[from_there.start : from_there.start + place.size]
        (tmp_path / "spliced").write_bytes(raw)
        with pytest.raises(SealRefused):
            opens(tmp_path / "spliced", ("head",))


def swapped(raw: bytes, start: int) -> bytes:
    one, two = raw[start : start + CHUNK + 16], raw[start + CHUNK + 16 : start + 2 * (CHUNK + 16)]
    return raw[:start] + two + one + raw[start + 2 * (CHUNK + 16) :]


@pytest.mark.parametrize(
    "change",
    [
        swapped,
        lambda raw, start: raw[:-1],
        lambda raw, start: raw + b"\0",
        lambda raw, start: raw[: start + CHUNK + 16],
        lambda raw, start: raw[:start] + bytes([raw[start] ^ 1]) + raw[start + 1 :],
        lambda raw, start: raw[:10],
        lambda raw, start: b"",
        lambda raw, start: b"ZTFMSEAX" + raw[8:],
    ],
    ids=["reordered", "cut", "longer", "cut at a chunk", "changed", "cut in the header", "empty", "another magic"],
)
def test_what_was_changed_is_refused_and_leaves_no_file(tmp_path: Path, change: Callable[[bytes, int], bytes]) -> None:
    path = sealed_at(tmp_path)
    with SealedWeights(path) as sealed:
        start = sealed.preamble.places()["encoder"].start
    path.write_bytes(change(path.read_bytes(), start))
    with pytest.raises(SealRefused):
        opens(path)
    assert {one.name for one in tmp_path.iterdir()} == {"m.safetensors", "m.sealed"}


def test_no_changed_byte_before_the_shards_opens_anything(tmp_path: Path) -> None:
    path = sealed_at(tmp_path)
    whole = path.read_bytes()
    size = read_preamble(whole).size
    for at in range(size):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 7
        path.write_bytes(changed)
        with pytest.raises(SealRefused), SealedWeights(path) as sealed:
            sealed.require("m", round_id="r-7", policy_revision="rev-1")
            for name, secret in secrets_of().items():
                sealed.shard(name, secret).tensors()


def test_two_files_of_the_same_weights_have_nothing_in_common(tmp_path: Path) -> None:
    one, other = sealed_at(tmp_path, "one"), sealed_at(tmp_path, "other")
    start = read_preamble(one.read_bytes()).size
    assert one.read_bytes()[start : start + 64] not in other.read_bytes()


def test_weights_that_cannot_be_sealed_as_asked_say_why(tmp_path: Path) -> None:
    plain, out = tmp_path / "m.safetensors", tmp_path / "m.sealed"
    write_weights(plain)
    known = {"model": "m", "round_id": "r-7", "policy_revision": "rev-1"}
    tries = {
        "no shard takes the tensor": ({"adapter": ["*lora*"]}, secrets_of()),
        "no tensor is of the shard": ({**GROUPS, "extra": ["nothing"]}, {**secrets_of(), "extra": bytes(32)}),
        "no secret for the shard head": (
            GROUPS,
            {name: value for name, value in secrets_of().items() if name != "head"},
        ),
    }
    for why, (groups, secrets) in tries.items():
        with pytest.raises(UnfitWeightsError, match=why):
            seal_weights(plain, out, groups, secrets, **known)
    plain.write_bytes(b"not weights")
    with pytest.raises(UnfitWeightsError, match="no safetensors file"):
        seal_weights(plain, out, GROUPS, secrets_of(), **known)
    assert [one.name for one in tmp_path.iterdir()] == ["m.safetensors"]
    assert len(SHAPES) == 8
