"""The syntax of decentralised identifiers (W3C Decentralized Identifiers 1.0, section 3.1)."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import StringConstraints

MAX_DID_CHARS = 128
"""As long as a DID may be: a name is no longer here (`contracts.base.Identifier`)."""

_ID_CHAR = r"(?:[A-Za-z0-9._-]|%[0-9A-Fa-f]{2})"
_PATTERN = rf"did:[a-z0-9]{{1,32}}:(?:{_ID_CHAR}*:)*{_ID_CHAR}+"
_DID = re.compile(rf"did:([a-z0-9]{{1,32}}):((?:{_ID_CHAR}*:)*{_ID_CHAR}+)")

DidName = Annotated[str, StringConstraints(max_length=MAX_DID_CHARS, pattern=f"^{_PATTERN}$")]
"""A DID on the wire."""

DidUrl = Annotated[str, StringConstraints(max_length=512, pattern=f"^{_PATTERN}#[A-Za-z0-9._~:@!$&'()*+,;=%/?-]+$")]
"""A DID with a fragment, which names something within its document."""


class DidInvalid(ValueError):  # noqa: N818 - named for what happened
    """A text is no DID, or none of its method. The message says why."""


@dataclass(frozen=True, slots=True)
class Did:
    """A DID in its parts.

    Attributes:
        method: how it is resolved.
        specific: what the method makes of it.
    """

    method: str
    specific: str


def parse_did(text: str, method: str | None = None) -> Did:
    """Return the parts of a DID. A DID URL, with path, query or fragment, is none.

    Args:
        text: to be read.
        method: that it must have; none for any.

    Raises:
        DidInvalid: it is no DID, or one of another method.
    """
    found = _DID.fullmatch(text) if len(text) <= MAX_DID_CHARS else None
    if found is None:
        raise DidInvalid(f"a DID is did:METHOD:NAME with at most {MAX_DID_CHARS} characters")
    if method is not None and found[1] != method:
        raise DidInvalid(f"it is no did:{method}")
    return Did(found[1], found[2])
