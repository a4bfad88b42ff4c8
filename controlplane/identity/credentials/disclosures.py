"""What a presented SD-JWT discloses: its payload with the disclosures put in (RFC 9901 section 7.1, step 3).

Pure. Everything that could be read in two ways is refused: a disclosure that nothing refers to or two things do, a name
that is there already, a digest that stands twice.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from controlplane.jose.jws import decode_segment, encode_segment, parse_object

MAX_DISCLOSURES = 64
_MAX_DEPTH = 16
_DIGESTS, _ELEMENT, _ALGORITHM = "_sd", "...", "_sd_alg"
_ALONE = "disclosed"


class DisclosuresInvalid(Exception):  # noqa: N818 - named for what happened
    """The disclosures and the payload do not fit together. The message says how, and nothing of what they say."""


@dataclass(frozen=True, slots=True)
class _Disclosure:
    name: str | None
    value: Any


def disclose(payload: dict[str, Any], disclosures: list[str]) -> dict[str, Any]:
    """Return the payload with what is disclosed in its place, and nothing left of digests.

    Args:
        payload: of the issuer's JWT.
        disclosures: as they were sent, base64url.

    Raises:
        DisclosuresInvalid: they do not fit together.
    """
    if payload.get(_ALGORITHM, "sha-256") != "sha-256":
        raise DisclosuresInvalid("the digests are not of SHA-256")
    if len(disclosures) > MAX_DISCLOSURES:
        raise DisclosuresInvalid(f"there are more than {MAX_DISCLOSURES} disclosures")
    opening = _Opening({_digest(text): _read(text) for text in disclosures})
    if len(opening.waiting) != len(disclosures):
        raise DisclosuresInvalid("a disclosure is sent twice")
    found = opening.of_object({name: value for name, value in payload.items() if name != _ALGORITHM}, 0)
    if opening.waiting:
        raise DisclosuresInvalid("a disclosure is not referred to")
    return found


class _Opening:
    """Puts disclosures where their digests stand, each once."""

    def __init__(self, waiting: dict[str, _Disclosure]) -> None:
        self.waiting = waiting
        self._met: set[str] = set()

    def of(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.of_object(value, depth)
        return self._of_array(value, depth) if isinstance(value, list) else value

    def of_object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        if depth > _MAX_DEPTH:
            raise DisclosuresInvalid("it is nested too deeply")
        if _ELEMENT in value or _ALGORITHM in value:
            raise DisclosuresInvalid("a reserved name stands where it must not")
        digests = value.get(_DIGESTS, [])
        if not isinstance(digests, list):
            raise DisclosuresInvalid("_sd is no array")
        found = {name: self.of(inner, depth + 1) for name, inner in value.items() if name != _DIGESTS}
        for digest in digests:
            disclosed = self._take(digest)
            if disclosed is None:
                continue
            if disclosed.name is None or disclosed.name in found:
                raise DisclosuresInvalid("a disclosure names nothing new")
            found[disclosed.name] = self.of(disclosed.value, depth + 1)
        return found

    def _of_array(self, value: list[Any], depth: int) -> list[Any]:
        if depth > _MAX_DEPTH:
            raise DisclosuresInvalid("it is nested too deeply")
        found = []
        for element in value:
            if not isinstance(element, dict) or _ELEMENT not in element:
                found.append(self.of(element, depth + 1))
                continue
            if len(element) != 1:
                raise DisclosuresInvalid("a reserved name stands where it must not")
            disclosed = self._take(element[_ELEMENT])
            if disclosed is None:
                continue
            if disclosed.name is not None:
                raise DisclosuresInvalid("an element of an array has a name")
            found.append(self.of(disclosed.value, depth + 1))
        return found

    def _take(self, digest: object) -> _Disclosure | None:
        """Return what a digest stands for; none for a decoy, or what is not disclosed."""
        if not isinstance(digest, str) or digest in self._met:
            raise DisclosuresInvalid("a digest stands twice, or is no text")
        self._met.add(digest)
        return self.waiting.pop(digest, None)


def _read(text: str) -> _Disclosure:
    try:
        # Read as the one member of an object, so that the one strict parser of this house reads it.
        parts = parse_object(b'{"' + _ALONE.encode() + b'":' + decode_segment(text.encode("ascii")) + b"}")
    except (ValueError, RecursionError):
        raise DisclosuresInvalid("a disclosure is no JSON in base64url") from None
    array = parts.get(_ALONE)
    if len(parts) != 1 or not isinstance(array, list) or len(array) not in (2, 3) or not isinstance(array[0], str):
        raise DisclosuresInvalid("a disclosure is no salt, name and value, and no salt and value")
    if len(array) == 2:
        return _Disclosure(None, array[1])
    name = array[1]
    if not isinstance(name, str) or name in (_DIGESTS, _ELEMENT, _ALGORITHM):
        raise DisclosuresInvalid("a disclosure has a name that none may have")
    return _Disclosure(name, array[2])


def _digest(text: str) -> str:
    return encode_segment(hashlib.sha256(text.encode(errors="replace")).digest()).decode()
