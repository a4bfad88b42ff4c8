"""What a bundle's signature is over: hashes of its files, as OPA makes them and as everybody does.

OPA hashes a document by its value: names in order, no spaces, numbers as they are spelt, nothing escaped that needs not
be (``hash.go`` of its bundle package). Every other file is hashed by its bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from controlplane.bundles.errors import BundleRefused
from controlplane.contracts.unambiguous import refuse_deep

DOCUMENTS = frozenset({"data.json", ".manifest"})


def raw_hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file's bytes: 64 hex digits by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def opa_hashes(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Return the claim ``files`` of OPA's signatures.

    Raises:
        BundleRefused: ``malformed``: a document is no JSON.
    """
    return [
        {"name": name, "hash": hashlib.sha256(_hashed(name, content)).hexdigest(), "algorithm": "SHA-256"}
        for name, content in sorted(files.items())
    ]


class _Number(str):
    __slots__ = ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _hashed(name: str, content: bytes) -> bytes:
    if name not in DOCUMENTS:
        return content
    try:
        refuse_deep(content)
        document = json.loads(content.decode(), parse_int=_Number, parse_float=_Number, parse_constant=_no_constant)
        return _canonical(document).encode()
    except (ValueError, RecursionError):
        raise BundleRefused("malformed", f"{name} is not JSON, or is nested too deeply") from None


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(name)}:{_canonical(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, _Number):
        return str(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    # Go's encoder escapes these two always, for JavaScript's sake.
    return json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
