import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.credentials import RoundTerms
from adapters.errors import Unavailable
from adapters.sealed.demanded import announced_key, sealed_to
from adapters.sealed.updates import open_update, read_header, seal_update, sealed_at_most
from controlplane.confidentiality.chunks import MAX_CHUNK_BYTES
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.confidentiality.releasing import key_digest
from controlplane.contracts.attestation import SealingSuite

TERMS = RoundTerms("round-7", "smart-home-intents", "sha256:" + "d" * 64, "aggregator-1")
CONTENT = os.urandom(10_000)


def sealed_by(folder: Path, key: PrivateReleaseKey, content: bytes = CONTENT) -> Path:
    plain, out = folder / "update", folder / "sealed"
    plain.write_bytes(content)
    seal_update(plain, out, key.public, terms=TERMS, subject="dev-1", chunk_bytes=4096)
    return out


def opened(sealed: Path, key: PrivateReleaseKey, terms: RoundTerms = TERMS, subject: str = "dev-1") -> bytes:
    out = sealed.with_name("opened")
    open_update(sealed, out, key, terms=terms, subject=subject, most_bytes=20_000)
    return out.read_bytes()


@pytest.mark.parametrize("suite", ["x25519", "mlkem768-x25519"])
@pytest.mark.parametrize("size", [0, 1, 4096, 10_000])
def test_what_a_device_seals_its_aggregator_opens(tmp_path: Path, suite: SealingSuite, size: int) -> None:
    key = PrivateReleaseKey.generate(suite)
    sealed = sealed_by(tmp_path, key, CONTENT[:size])
    assert opened(sealed, key) == CONTENT[:size]
    assert size < sealed.stat().st_size <= sealed_at_most(size)
    assert size < 64 or CONTENT[:64] not in sealed.read_bytes()


def test_who_sends_an_update_does_not_choose_how_much_memory_it_takes_to_open(tmp_path: Path) -> None:
    sealed = sealed_by(tmp_path, PrivateReleaseKey.generate("x25519"))
    raw, most = sealed.read_bytes(), str(MAX_CHUNK_BYTES + 1).encode()
    longer = raw.replace(b'"chunk_bytes":4096', b'"chunk_bytes":' + most)
    length = int.from_bytes(raw[8:12], "big") + len(most) - 4
    with pytest.raises(SealRefused, match="header"):
        read_header(memoryview(raw[:8] + length.to_bytes(4, "big") + longer[12:]))


@pytest.mark.parametrize(
    ("terms", "subject"),
    [
        (replace(TERMS, round_id="round-8"), "dev-1"),
        (replace(TERMS, model="fall-detection"), "dev-1"),
        (replace(TERMS, model_digest="sha256:" + "e" * 64), "dev-1"),
        (replace(TERMS, audience="aggregator-2"), "dev-1"),
        (TERMS, "dev-2"),
    ],
)
def test_it_opens_in_its_own_round_from_its_own_sender_alone(tmp_path: Path, terms: RoundTerms, subject: str) -> None:
    key = PrivateReleaseKey.generate("x25519")
    sealed = sealed_by(tmp_path, key)
    with pytest.raises(SealRefused):
        opened(sealed, key, terms, subject)


@pytest.mark.parametrize("suite", ["x25519", "mlkem768-x25519"])
def test_nobody_else_opens_it(tmp_path: Path, suite: SealingSuite) -> None:
    sealed = sealed_by(tmp_path, PrivateReleaseKey.generate("x25519"))
    with pytest.raises(SealRefused):
        opened(sealed, PrivateReleaseKey.generate(suite))
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
        lambda raw: raw[:20] + bytes([raw[20] ^ 1]) + raw[21:],
        lambda raw: raw.replace(b'"size_bytes":10000', b'"size_bytes":99999'),
        lambda raw: raw.replace(b"4096", b"8192", 1),
        lambda raw: b"",
        lambda raw: raw[:11],
    ],
)
def test_what_was_changed_opens_nowhere(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    key = PrivateReleaseKey.generate("x25519")
    sealed = sealed_by(tmp_path, key)
    sealed.write_bytes(change(sealed.read_bytes()))
    with pytest.raises(SealRefused):
        opened(sealed, key)
    assert {path.name for path in tmp_path.iterdir()} == {"update", "sealed"}


def test_more_than_an_update_may_have_is_not_opened(tmp_path: Path) -> None:
    key = PrivateReleaseKey.generate("x25519")
    with pytest.raises(SealRefused, match="larger"):
        opened(sealed_by(tmp_path, key, os.urandom(20_001)), key)


def test_a_key_that_is_announced_counts_where_the_control_plane_vouches_for_it() -> None:
    key, other = PrivateReleaseKey.generate().public, PrivateReleaseKey.generate().public
    assert announced_key({"update_key": key.model_dump()}, key_digest(key)) == key
    for document in ({}, {"update_key": None}, {"update_key": other.model_dump()}, {"update_key": {"suite": "x25519"}}):
        with pytest.raises(Unavailable):
            announced_key(document, key_digest(key))


def test_for_a_capability_that_cannot_be_read_nothing_is_sent() -> None:
    for token in ("", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"):
        with pytest.raises(Unavailable):
            sealed_to(token)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=300), at=st.integers(0, 300))
def test_no_bytes_are_taken_for_an_update(tmp_path: Path, noise: bytes, at: int) -> None:
    key = PrivateReleaseKey.generate("x25519")
    sealed = sealed_by(tmp_path, key, b"an update")
    whole = sealed.read_bytes()
    for data in (noise, b"ZTFMUPD1" + noise, whole[:at] + noise + b"\0"):
        sealed.write_bytes(data)
        with pytest.raises(SealRefused):
            opened(sealed, key)
