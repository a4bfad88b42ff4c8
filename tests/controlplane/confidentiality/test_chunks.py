import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.confidentiality.chunks import TAG_BYTES, Chunks, sealed_size
from controlplane.confidentiality.errors import SealRefused

KEY = bytes(range(32))


def sealed(content: bytes, chunk_bytes: int = 4096, bound: bytes = b"bound") -> tuple[Chunks, bytearray]:
    chunks = Chunks(KEY, bound, len(content), chunk_bytes)
    out = bytearray(sealed_size(len(content), chunk_bytes))
    for number in range(chunks.count):
        chunks.seal_into(number, content[chunks.plain(number)], memoryview(out)[chunks.sealed(number)])
    return chunks, out


def opened(chunks: Chunks, raw: bytes | bytearray) -> bytes:
    out = bytearray(chunks.size)
    for number in range(chunks.count):
        chunks.open_into(number, memoryview(raw)[chunks.sealed(number)], memoryview(out)[chunks.plain(number)])
    return bytes(out)


@settings(max_examples=40)
@given(st.integers(0, 200), st.integers(1, 64))
def test_a_content_of_any_length_opens_to_itself(size: int, chunk_bytes: int) -> None:
    content = os.urandom(size)
    chunks, raw = sealed(content, chunk_bytes)
    assert opened(chunks, raw) == content
    assert len(raw) == size + TAG_BYTES * chunks.count


def test_each_chunk_opens_by_itself() -> None:
    content = os.urandom(10_000)
    chunks, raw = sealed(content)
    out = bytearray(10_000 - 8192)
    chunks.open_into(2, memoryview(raw)[chunks.sealed(2)], memoryview(out))
    assert bytes(out) == content[8192:]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[4112:8224] + raw[:4112] + raw[8224:],
        lambda raw: raw[:4112] + raw[:4112] + raw[8224:],
        lambda raw: bytes([raw[0] ^ 1]) + raw[1:],
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 0x80]),
    ],
    ids=["reordered", "repeated", "first bit", "last bit"],
)
def test_what_was_moved_or_changed_does_not_open(change: Callable[[bytes], bytes]) -> None:
    chunks, raw = sealed(os.urandom(10_000))
    with pytest.raises(SealRefused):
        opened(chunks, change(bytes(raw)))


def test_a_content_that_is_cut_at_a_chunk_does_not_open() -> None:
    _, raw = sealed(os.urandom(8192))
    with pytest.raises(SealRefused):
        opened(Chunks(KEY, b"bound", 4096, 4096), raw[:4112])


def test_a_chunk_of_another_content_does_not_open() -> None:
    chunks, _ = sealed(os.urandom(5000))
    for other in (sealed(os.urandom(5000), bound=b"other")[1], sealed(os.urandom(5000), 2048)[1]):
        with pytest.raises(SealRefused):
            opened(chunks, other[: sealed_size(5000)].ljust(sealed_size(5000, 4096), b"\0"))


def test_there_is_no_chunk_beyond_the_last() -> None:
    chunks, raw = sealed(b"x")
    for number in (-1, 1):
        with pytest.raises(ValueError, match="none with number"):
            chunks.open_into(number, raw, memoryview(bytearray(1)))
    with pytest.raises(ValueError, match="32 bytes"):
        Chunks(b"short", b"", 1)


def test_what_changes_in_a_map_while_a_chunk_is_opened_is_not_what_is_opened() -> None:
    class Meanwhile:
        """A cipher whose input's owner writes to it once the chunk is being opened."""

        def decrypt_into(self, *given: Any) -> int:
            raw[0] ^= 1
            return cipher.decrypt_into(*given)

    content = os.urandom(5000)
    chunks, raw = sealed(content)
    cipher, chunks._cipher = chunks._cipher, Meanwhile()  # type: ignore[assignment]
    out = bytearray(4096)
    chunks.open_into(0, memoryview(raw)[chunks.sealed(0)], memoryview(out))
    assert bytes(out) == content[:4096]
