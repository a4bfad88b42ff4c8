"""Seal an update to the aggregator that the control plane names, so that nothing on its way can read it.

The content is sealed in chunks under a key of its own, and that key by HPKE to the aggregator's release key. What is
sealed names the aggregator, the model, the round and the device: what was recorded in one round opens in no other.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from adapters.credentials import RoundTerms
from adapters.sealed.mapping import each, mapped, mapped_draft
from controlplane.confidentiality.chunks import CHUNK_BYTES, KEY_BYTES, MAX_CHUNK_BYTES, TAG_BYTES, Chunks, sealed_size
from controlplane.confidentiality.contexts import context
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import PrivateReleaseKey, seal
from controlplane.confidentiality.releasing import from_text, to_text
from controlplane.contracts.attestation import ReleaseKey, SealingSuite
from controlplane.contracts.base import StrictModel
from controlplane.contracts.secrets import Enclosed

SEALED_UPDATE = "application/vnd.ztfm.sealed-update"
"""The media type of a sealed update."""

MAGIC = b"ZTFMUPD1"
HEADROOM_BYTES = 8192
"""More than a sealed update is longer than what is in it, its chunks' tags apart."""

_MOST_HEADER_BYTES = 4096
_LENGTH_BYTES = 4


class UpdateHeader(StrictModel):
    """What a sealed update begins with; every chunk is bound to these very bytes.

    Attributes:
        version: of the form.
        suite: of the aggregator's key.
        enc: the encapsulation.
        key: of the content, sealed.
        size_bytes: of the content.
        chunk_bytes: of each chunk.
    """

    version: Literal[1]
    suite: SealingSuite
    enc: Enclosed
    key: Enclosed
    size_bytes: Annotated[int, Field(ge=0, le=2**50)]
    chunk_bytes: Annotated[int, Field(ge=4096, le=MAX_CHUNK_BYTES)]


def sealed_at_most(size: int) -> int:
    """Return the most bytes that a content of ``size`` bytes has once it is sealed, whatever its chunks."""
    return size + HEADROOM_BYTES + TAG_BYTES * (size // 4096 + 1)


def seal_update(
    update: Path, out: Path, key: ReleaseKey, *, terms: RoundTerms, subject: str, chunk_bytes: int = CHUNK_BYTES
) -> None:
    """Write an update sealed, whole or not at all.

    Args:
        update: its file.
        out: the sealed one, of mode 0600; what was there is replaced.
        key: the aggregator's, which the capability to submit names.
        terms: of the round.
        subject: whose update it is.
        chunk_bytes: of each chunk, up to `MAX_CHUNK_BYTES`.

    Raises:
        SealRefused: the key is none.
        OSError: a file cannot be read or written.
    """
    own = secrets.token_bytes(KEY_BYTES)
    enc, wrapped = seal(key, own, _info(terms, subject))
    size = update.stat().st_size
    header = UpdateHeader(
        version=1,
        suite=key.suite,
        enc=to_text(enc),
        key=to_text(wrapped),
        size_bytes=size,
        chunk_bytes=chunk_bytes,
    )
    head = header.model_dump_json().encode()
    start = len(MAGIC) + _LENGTH_BYTES + len(head)
    chunks = Chunks(own, hashlib.sha256(head).digest(), size, chunk_bytes)
    with update.open("rb") as file, mapped_draft(out, start + sealed_size(size, chunk_bytes)) as room:
        room[:start] = MAGIC + len(head).to_bytes(_LENGTH_BYTES, "big") + head
        with mapped(file.fileno(), size) as plain, room[start:] as target:

            def one(number: int) -> None:
                with target[chunks.sealed(number)] as part:
                    chunks.seal_into(number, plain[chunks.plain(number)], part)

            each(one, chunks.count)


def open_update(
    sealed: Path, out: Path, key: PrivateReleaseKey, *, terms: RoundTerms, subject: str, most_bytes: int
) -> None:
    """Write what was sealed to this aggregator's key, whole or not at all.

    Args:
        sealed: the file as it came.
        out: the update, of mode 0600.
        key: of this aggregator.
        terms: of the round.
        subject: who sent it.
        most_bytes: that an update may have.

    Raises:
        SealRefused: it was sealed to another key, for another round, model or aggregator, by another device, or was
            changed; or it is larger. Nothing is written then.
        OSError: a file cannot be read or written.
    """
    with sealed.open("rb") as file:
        length = file.seek(0, 2)
        with mapped(file.fileno(), length) as raw:
            # Once, so that what is parsed is what the chunks are bound to.
            head = bytes(raw[: len(MAGIC) + _LENGTH_BYTES + _MOST_HEADER_BYTES])
            header, start = read_header(memoryview(head))
            if header.size_bytes > most_bytes or length != start + sealed_size(header.size_bytes, header.chunk_bytes):
                raise SealRefused(
                    "the sealed update is larger than an update may be, or of another length than it says"
                )
            if header.suite != key.suite:
                raise SealRefused("the update is sealed to a key of another suite")
            own = key.open(from_text(header.enc), from_text(header.key), _info(terms, subject))
            if len(own) != KEY_BYTES:
                raise SealRefused("the key of the update is none")
            bound = hashlib.sha256(head[len(MAGIC) + _LENGTH_BYTES : start]).digest()
            chunks = Chunks(own, bound, header.size_bytes, header.chunk_bytes)
            with mapped_draft(out, header.size_bytes) as room:

                def one(number: int) -> None:
                    with room[chunks.plain(number)] as part:
                        chunks.open_into(number, raw[start:][chunks.sealed(number)], part)

                each(one, chunks.count)


def _info(terms: RoundTerms, subject: str) -> bytes:
    return context("ztfm sealed update 1", terms.audience, terms.model, terms.model_digest, terms.round_id, subject)


def read_header(raw: memoryview) -> tuple[UpdateHeader, int]:
    """Return the header of a sealed update, and where its chunks begin.

    Raises:
        SealRefused: it has none.
    """
    begins = len(MAGIC) + _LENGTH_BYTES
    length = int.from_bytes(raw[len(MAGIC) : begins], "big")
    if raw[: len(MAGIC)] != MAGIC or not 2 <= length <= _MOST_HEADER_BYTES or len(raw) < begins + length:
        raise SealRefused("it is no sealed update")
    try:
        return UpdateHeader.model_validate_json(bytes(raw[begins : begins + length])), begins + length
    except ValidationError:
        raise SealRefused("the header of the sealed update does not fit; was it made by another version?") from None
