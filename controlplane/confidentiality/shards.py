"""Sealed weights by their shards: keys, the header that everything is bound to, and where each shard lies.

A file is eight bytes that name the form, the length of the header in four, the header, eight bytes that say which
shards are there, and these one after the other. Whoever is to hold few shards gets a file with few: the header stays
the same, so each still opens, and nothing of the others is there to be opened.
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, NamedTuple, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError, model_validator

from controlplane.confidentiality.chunks import KEY_BYTES, MAX_CHUNK_BYTES, Chunks, sealed_size
from controlplane.confidentiality.contexts import context
from controlplane.confidentiality.errors import SealRefused
from controlplane.contracts.attestation import MAX_SHARDS, Nonce
from controlplane.contracts.base import Identifier, Label, StrictModel

MAGIC = b"ZTFMSEAL"
MAX_HEADER_BYTES = 65_536
_LENGTH_BYTES = 4
_PRESENT_BYTES = 8


class ShardEntry(StrictModel):
    """A shard of a file.

    Attributes:
        name: such as ``adapter``.
        size_bytes: of its content, a safetensors file.
    """

    name: Label
    size_bytes: Annotated[int, Field(ge=0, le=2**50)]


class SealedHeader(StrictModel):
    """What a file says of itself; every chunk of it is bound to these very bytes.

    Attributes:
        version: of the form.
        model: whose weights.
        round_id: after which round, or a release's name.
        policy_revision: under which they were sealed.
        salt: 32 random bytes, so that no two files share a key.
        chunk_bytes: of each chunk.
        shards: in the order in which they lie.
    """

    version: Literal[1]
    model: Identifier
    round_id: Identifier
    policy_revision: Annotated[str, Field(max_length=128)]
    salt: Nonce
    chunk_bytes: Annotated[int, Field(ge=4096, le=MAX_CHUNK_BYTES)]
    shards: Annotated[list[ShardEntry], Field(min_length=1, max_length=MAX_SHARDS)]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if len({shard.name for shard in self.shards}) != len(self.shards):
            raise ValueError("two shards have one name")
        return self


class Place(NamedTuple):
    """Where a shard's sealed bytes lie in a file, and its chunks.

    Attributes:
        start: in bytes from the beginning.
        size: of the sealed bytes.
        content: how many bytes they open to.
    """

    start: int
    size: int
    content: int


class Preamble(NamedTuple):
    """What comes before the shards.

    Attributes:
        raw: the header's bytes, as they are bound.
        header: what they say.
        present: the shards that are in the file.
    """

    raw: bytes
    header: SealedHeader
    present: frozenset[str]

    @property
    def size(self) -> int:
        """Of all that comes before the first shard, in bytes."""
        return len(MAGIC) + _LENGTH_BYTES + len(self.raw) + _PRESENT_BYTES

    def places(self) -> dict[str, Place]:
        """Return where the shards lie that are in the file."""
        found, at = {}, self.size
        for shard in self.header.shards:
            if shard.name in self.present:
                size = sealed_size(shard.size_bytes, self.header.chunk_bytes)
                found[shard.name] = Place(at, size, shard.size_bytes)
                at += size
        return found

    def total(self) -> int:
        """Return how long the file is, in bytes."""
        return self.size + sum(place.size for place in self.places().values())

    def only(self, shards: Collection[str]) -> "Preamble":
        """Return the preamble of a file with these shards alone.

        Raises:
            SealRefused: one of them is not in the file.
        """
        absent = sorted(set(shards) - self.present)
        if absent or not shards:
            raise SealRefused(f"the file has {', '.join(sorted(self.present))}, and not {', '.join(absent) or 'none'}")
        return self._replace(present=frozenset(shards))

    def to_bytes(self) -> bytes:
        """Return it as it lies in the file."""
        bits = sum(1 << at for at, shard in enumerate(self.header.shards) if shard.name in self.present)
        length = len(self.raw).to_bytes(_LENGTH_BYTES, "big")
        return MAGIC + length + self.raw + bits.to_bytes(_PRESENT_BYTES, "big")

    def chunks(self, shard: str, secret: bytes) -> Chunks:
        """Return the chunks of a shard.

        Args:
            shard: its name.
            secret: of the shard, as it is released (`shard_secret`).
        """
        header = self.header
        size = next(one.size_bytes for one in header.shards if one.name == shard)
        info = context("ztfm shard data 1", header.model, header.round_id, header.policy_revision, shard)
        salt = urlsafe_b64decode(header.salt + "=")
        key = HKDF(SHA256(), KEY_BYTES, salt, info).derive(secret)
        return Chunks(key, hashlib.sha256(self.raw + shard.encode()).digest(), size, header.chunk_bytes)


def shard_secret(model_key: bytes, model: str, shard: str) -> bytes:
    """Return the secret of a shard, which is what is released: from it alone follow neither the others nor the key.

    Args:
        model_key: 32 bytes, of the model; it stays with whoever owns the model.
        model: whose shard it is.
        shard: its name.
    """
    if len(model_key) != KEY_BYTES:
        raise ValueError(f"a model's key has {KEY_BYTES} bytes")
    return HKDF(SHA256(), KEY_BYTES, None, context("ztfm shard secret 1", model, shard)).derive(model_key)


def secret_id(model: str, shard: str) -> str:
    """Return under which name a shard's secret is released."""
    return f"{model}/{shard}"


def new_preamble(
    model: str, round_id: str, policy_revision: str, sizes: Mapping[str, int], chunk_bytes: int
) -> Preamble:
    """Return the preamble of a new file with all its shards.

    Raises:
        ValueError: a name is none, or there are too many shards.
    """
    header = SealedHeader(
        version=1,
        model=model,
        round_id=round_id,
        policy_revision=policy_revision,
        salt=urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode(),
        chunk_bytes=chunk_bytes,
        shards=[ShardEntry(name=name, size_bytes=size) for name, size in sizes.items()],
    )
    return Preamble(header.model_dump_json().encode(), header, frozenset(sizes))


def read_preamble(data: bytes) -> Preamble:
    """Return what comes before the shards.

    Args:
        data: the beginning of a file, `MAX_HEADER_BYTES` and 64 more where it is so long.

    Raises:
        SealRefused: it is no file of sealed weights, or of another version.
    """
    start = len(MAGIC) + _LENGTH_BYTES
    length = int.from_bytes(data[len(MAGIC) : start], "big")
    is_whole = 2 <= length <= MAX_HEADER_BYTES and len(data) >= start + length + _PRESENT_BYTES
    if data[: len(MAGIC)] != MAGIC or not is_whole:
        raise SealRefused("it is no file of sealed weights, or cut within its header")
    raw = data[start : start + length]
    try:
        header = SealedHeader.model_validate_json(raw)
    except ValidationError:
        raise SealRefused("the header of the sealed weights does not fit; was it made by another version?") from None
    bits = int.from_bytes(data[start + length : start + length + _PRESENT_BYTES], "big")
    if bits == 0 or bits >> len(header.shards):
        raise SealRefused("the file names no shard that is in it, or one that is not in its header")
    present = frozenset(shard.name for at, shard in enumerate(header.shards) if bits >> at & 1)
    return Preamble(raw, header, present)


def require(header: SealedHeader, model: str, round_id: str | None = None, policy_revision: str | None = None) -> None:
    """Refuse a file that is another's, whatever keys would open it.

    Args:
        header: of the file.
        model: whose weights are wanted.
        round_id: after which round; none for any.
        policy_revision: under which they were sealed; none for any.

    Raises:
        SealRefused: it names another.
    """
    wanted = {"model": model, "round_id": round_id, "policy_revision": policy_revision}
    for name, value in wanted.items():
        if value is not None and getattr(header, name) != value:
            raise SealRefused(f"the sealed weights are of another {name} than the one that is wanted")
