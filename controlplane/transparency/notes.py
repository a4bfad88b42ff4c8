"""Signed notes (c2sp.org/signed-note): a text, and lines that say who vouches for it.

Keys are Ed25519. What is signed is the text itself (type 1), or, by a witness, a time and the text (type 4,
c2sp.org/tlog-cosignature): what a witness says is when it saw a log grow without a rewrite.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Kind = Literal["note", "cosignature"]
_TYPES: dict[Kind, int] = {"note": 1, "cosignature": 4}
_KINDS: dict[int, Kind] = {number: kind for kind, number in _TYPES.items()}

MOST_BYTES = 64 * 1024
MOST_SIGNATURES = 64
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,128}")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_ID_BYTES = 4
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64


class NoteInvalid(Exception):  # noqa: N818 - named for what happened
    """A note, a key or a signature is not what it should be. The message says how."""


@dataclass(frozen=True)
class Signature:
    """A signature line.

    Attributes:
        name: who signed.
        key_id: four bytes that tell keys of the same name apart.
        value: what follows them.
    """

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return it as a line of a note."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A text and its signatures.

    Attributes:
        text: ends with a newline.
        signatures: of whoever vouches for it; nothing is verified yet.
    """

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """Return it as it travels."""
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Return a note that came from outside.

        Raises:
            NoteInvalid: it is none.
        """
        if len(raw.encode()) > MOST_BYTES:
            raise NoteInvalid(f"a note has at most {MOST_BYTES} bytes")
        if any((ord(one) < 0x20 and one != "\n") or one == "\ufffd" for one in raw):
            raise NoteInvalid("a note holds text alone, without control characters")
        text, found, lines = raw.rpartition("\n\n")
        if not found or not text or not lines.endswith("\n"):
            raise NoteInvalid("a note is a text, an empty line, and signature lines that end with a newline")
        signatures = lines[:-1].split("\n")
        if len(signatures) > MOST_SIGNATURES:
            raise NoteInvalid(f"a note has at most {MOST_SIGNATURES} signatures")
        return cls(text + "\n", tuple(_signature(line) for line in signatures))

    def signed_by(self, key: "Verifier") -> Signature | None:
        """Return the first signature that verifies with ``key``, or none."""
        own = (one for one in self.signatures if (one.name, one.key_id) == (key.name, key.key_id))
        return next((one for one in own if key.holds(self.text, one)), None)

    def with_signatures(self, signatures: Sequence[Signature]) -> Self:
        """Return the note with further signatures, each line once."""
        return type(self)(self.text, tuple(dict.fromkeys([*self.signatures, *signatures])))


@dataclass(frozen=True)
class Verifier:
    """A public key and whose it is, as written ``name+id+key`` (a verifier key, "vkey").

    Attributes:
        name: of whoever signs.
        kind: what is signed: a note, or a cosignature with its time.
        key: Ed25519, 32 bytes.
    """

    name: str
    kind: Kind
    key: bytes

    def __post_init__(self) -> None:
        """Refuse what can be no key."""
        if not _NAME.fullmatch(self.name):
            raise NoteInvalid(f"{self.name!r} names nobody: no spaces, no plus sign, 1 to 128 characters")
        if len(self.key) != _KEY_BYTES:
            raise NoteInvalid(f"an Ed25519 key has {_KEY_BYTES} bytes, this one {len(self.key)}")

    @property
    def key_id(self) -> bytes:
        """Four bytes of the hash of name, type and key."""
        named = self.name.encode() + b"\n" + bytes([_TYPES[self.kind]]) + self.key
        return hashlib.sha256(named).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """Return the verifier key as it is handed on."""
        typed = bytes([_TYPES[self.kind]]) + self.key
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(typed).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return a key from its text.

        Raises:
            NoteInvalid: it is none, or its id is not that of the key.
        """
        name, _, rest = text.strip().partition("+")
        identified, _, encoded = rest.partition("+")
        typed = _decoded(encoded)
        kind = _KINDS.get(typed[0]) if typed else None
        if kind is None:
            raise NoteInvalid("a verifier key is name+id+key, and the key an Ed25519 one of a note or a cosignature")
        found = cls(name, kind, typed[1:])
        if found.key_id.hex() != identified:
            raise NoteInvalid(f"the id of the key of {name} is {found.key_id.hex()}, not {identified[:16]}")
        return found

    def holds(self, text: str, signature: Signature) -> bool:
        """Whether a signature over ``text`` is this key's."""
        signed, value = text.encode(), signature.value
        if self.kind == "cosignature":
            if len(value) != 8 + _SIGNATURE_BYTES:
                return False
            signed, value = _cosigned(text, time_of(signature)), value[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(value, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key and whose it is.

    Attributes:
        name: of whoever signs.
        kind: what it signs.
        key: Ed25519.
    """

    name: str
    kind: Kind
    key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """What others verify with."""
        return Verifier(self.name, self.kind, self.key.public_key().public_bytes_raw())

    def sign(self, text: str, now: int = 0) -> Signature:
        """Return a signature over ``text``.

        Args:
            text: ends with a newline.
            now: Unix seconds, of a cosignature.
        """
        if self.kind == "note":
            return Signature(self.name, self.verifier.key_id, self.key.sign(text.encode()))
        value = struct.pack(">Q", now) + self.key.sign(_cosigned(text, now))
        return Signature(self.name, self.verifier.key_id, value)


def time_of(cosignature: Signature) -> int:
    """Return when a witness signed, Unix seconds.

    Raises:
        NoteInvalid: it is no cosignature.
    """
    if len(cosignature.value) != 8 + _SIGNATURE_BYTES:
        raise NoteInvalid("a cosignature is a time of 8 bytes and an Ed25519 signature")
    return int(struct.unpack(">Q", cosignature.value[:8])[0])


def signature_of(line: str) -> Signature:
    """Return the signature of a line of a note.

    Raises:
        NoteInvalid: it is none.
    """
    return _signature(line)


def _cosigned(text: str, now: int) -> bytes:
    return f"cosignature/v1\ntime {now}\n{text}".encode()


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    value = _decoded(found[2]) if found else b""
    if found is None or len(value) <= _ID_BYTES:
        raise NoteInvalid("a signature line is a dash, a name, and an id of 4 bytes with the signature in base64")
    return Signature(found[1], value[:_ID_BYTES], value[_ID_BYTES:])


def _decoded(text: str) -> bytes:
    """Return what base64 says, in the one form that it has: no spare bit of its last character is set."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("what should be base64 is none") from None
    if base64.b64encode(found).decode() != text:
        raise NoteInvalid("what should be base64 is, in another form than its own")
    return found
