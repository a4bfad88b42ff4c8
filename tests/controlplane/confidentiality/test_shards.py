import hashlib
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.confidentiality.chunks import sealed_size
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.shards import (
    MAGIC,
    MAX_HEADER_BYTES,
    Preamble,
    new_preamble,
    read_preamble,
    require,
    secret_id,
    shard_secret,
)

KEY = bytes(range(32))
SIZES = {"adapter": 10_000, "head": 0, "encoder": 4096}


def made(**changes: str) -> Preamble:
    named = {"model": "m", "round_id": "r-7", "policy_revision": "rev-1", **changes}
    return new_preamble(**named, sizes=SIZES, chunk_bytes=4096)


def sealed_by(preamble: Preamble, shard: str, secret: bytes) -> bytes:
    """Return the last chunk of a shard of zeros, sealed."""
    chunks = preamble.chunks(shard, secret)
    number = chunks.count - 1
    plain = chunks.plain(number)
    out = bytearray(plain.stop - plain.start + 16)
    chunks.seal_into(number, bytes(plain.stop - plain.start), memoryview(out))
    return bytes(out)


def test_a_preamble_reads_back_as_it_was_written() -> None:
    preamble = made()
    found = read_preamble(preamble.to_bytes() + b"the shards")
    assert found == preamble
    assert found.size == len(preamble.to_bytes())
    places = found.places()
    assert list(places) == ["adapter", "head", "encoder"]
    assert places["head"].start == places["adapter"].start + sealed_size(10_000, 4096)
    assert found.total() == places["encoder"].start + sealed_size(4096, 4096)


@pytest.mark.parametrize("shards", [some for many in (1, 2, 3) for some in combinations(SIZES, many)])
def test_a_file_with_some_shards_has_the_same_header_and_these_alone(shards: tuple[str, ...]) -> None:
    preamble = made()
    few = read_preamble(preamble.only(shards).to_bytes())
    assert few.raw == preamble.raw
    assert set(few.places()) == set(shards)


def test_what_is_not_there_is_not_selected() -> None:
    for shards in (["tail"], []):
        with pytest.raises(SealRefused, match="not"):
            made().only(shards)
    with pytest.raises(SealRefused):
        made().only(["head"]).only(["adapter"])


def test_no_two_secrets_are_the_same_and_none_follows_from_another() -> None:
    known = {
        shard_secret(key, model, shard)
        for key in (KEY, bytes(32))
        for model in ("m", "m/adapter", "n")
        for shard in ("adapter", "head")
    }
    assert len(known) == 12
    assert secret_id("m", "adapter") == "m/adapter"
    with pytest.raises(ValueError, match="32 bytes"):
        shard_secret(b"short", "m", "adapter")


def test_every_file_shard_model_round_and_revision_has_a_key_of_its_own() -> None:
    secret = shard_secret(KEY, "m", "head")
    first = made()
    others = [made(), made(model="n"), made(round_id="r-8"), made(policy_revision="rev-2")]
    sealed = {sealed_by(one, shard, secret) for one in (first, *others) for shard in SIZES}
    assert len(sealed) == 15
    assert sealed_by(first, "head", secret) == sealed_by(read_preamble(first.to_bytes()), "head", secret)


@pytest.mark.parametrize("wanted", [("n",), ("m", "r-8"), ("m", None, "rev-2")])
def test_weights_that_are_not_the_wanted_ones_are_refused(wanted: tuple[str, ...]) -> None:
    require(made().header, "m", "r-7", "rev-1")
    require(made().header, "m")
    with pytest.raises(SealRefused, match="another"):
        require(made().header, *wanted)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":2'),
        (b'"shards":[', b'"shards":[{"name":"head","size_bytes":1},'),
        (b'"size_bytes":0', b'"size_bytes":-1'),
        (b'"chunk_bytes":4096', b'"chunk_bytes":1'),
        (b'"chunk_bytes":4096', b'"chunk_bytes":4194305'),
        (b'"model":"m"', b'"model":" "'),
        (b'"version":1', b'"version":1,"more":1'),
        (MAGIC, b"ZTFMSEAM"),
    ],
)
def test_a_header_that_is_none_is_refused(old: bytes, new: bytes) -> None:
    raw = made().raw
    header = raw.replace(old, new)
    begins = MAGIC.replace(old, new) + len(header).to_bytes(4, "big")
    whole = begins + header + (1).to_bytes(8, "big")
    with pytest.raises(SealRefused):
        read_preamble(whole)


@pytest.mark.parametrize("bits", [0, 8, 1 << 63])
def test_a_file_names_at_least_one_of_its_shards_and_no_other(bits: int) -> None:
    whole = made().to_bytes()[:-8] + bits.to_bytes(8, "big")
    with pytest.raises(SealRefused, match="shard"):
        read_preamble(whole)


@settings(max_examples=60)
@given(st.binary(max_size=400), st.integers(0, 300))
def test_no_bytes_raise_anything_else_or_take_long(noise: bytes, at: int) -> None:
    whole = made().to_bytes()
    for data in (noise, MAGIC + noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
        try:
            found = read_preamble(data)
        except SealRefused:
            continue
        assert len(found.raw) <= MAX_HEADER_BYTES
        assert hashlib.sha256(found.to_bytes()).digest() == hashlib.sha256(data[: found.size]).digest()
