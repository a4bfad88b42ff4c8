"""``did:web``: an identifier that stands for a document on a web server (W3C CCG did:web).

Pure: where the document is, and what counts of what is found there. Who fetches it is `identity.resolving.web`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import read_multikey
from controlplane.identifiers.dids import DidInvalid, parse_did
from controlplane.identifiers.documents import (
    MOST_METHODS,
    DidDocument,
    Relationship,
    VerificationMethod,
    document_of,
)
from controlplane.jose.jws import parse_object
from controlplane.jose.keys import load_public

LOCALHOST = "localhost"

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}|{LOCALHOST}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SEGMENT = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-])*")


class DocumentInvalid(ValueError):  # noqa: N818 - named for what happened
    """What lies where a document should be is none of the DID. The message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the document of a ``did:web`` lies.

    Attributes:
        host: a domain name in lower case, never an address.
        port: none for the scheme's own.
        path: of the document.
    """

    host: str
    port: int | None
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine by its name."""
        return self.host == LOCALHOST

    def url(self, scheme: str = "https") -> str:
        """Return where the document is fetched."""
        return f"{scheme}://{self.host}{'' if self.port is None else f':{self.port}'}{self.path}"


def place_of(did: str) -> Place:
    """Return where the document of a ``did:web`` lies.

    One place has one spelling: the domain is in lower case, the colon before a port is ``%3A``, and nothing else is
    percent-encoded.

    Raises:
        DidInvalid: no ``did:web``, an address instead of a domain, or a path that leads elsewhere.
    """
    domain, *path = parse_did(did, "web").specific.split(":")
    host, has_port, port = domain.partition("%3A")
    if not _HOST.fullmatch(host) or _is_address(host):
        raise DidInvalid("did:web names a domain in lower case, and no address")
    if has_port and (not _PORT.fullmatch(port) or int(port) > 65_535):
        raise DidInvalid("after %3A did:web has a port from 1 to 65535")
    if not all(_SEGMENT.fullmatch(segment) for segment in path):
        raise DidInvalid("a part of did:web's path begins with a letter, digit, - or _, and is not percent-encoded")
    return Place(host, int(port) if has_port else None, "/".join(["", *(path or [".well-known"]), "did.json"]))


def read_document(did: str, raw: bytes) -> DidDocument:
    """Return what counts of a published document: P-256 keys that the DID itself controls, and what they are for.

    Args:
        did: whose document it should be.
        raw: JSON.

    Raises:
        DocumentInvalid: it is no document of the DID, publishes a private key, or has no key that counts.
    """
    try:
        found = parse_object(raw)
    except (ValueError, RecursionError):
        raise DocumentInvalid("it is no JSON object with each name once") from None
    if found.get("id") != did:
        raise DocumentInvalid("it is the document of another DID")
    methods: dict[str, VerificationMethod] = {}
    for entry in _listed(found, "verificationMethod"):
        _keep(methods, did, entry)
    authentication = _named(methods, did, found, "authentication")
    assertion = _named(methods, did, found, "assertionMethod")
    if not methods:
        raise DocumentInvalid("it has no P-256 key that the DID itself controls")
    try:
        return document_of(did, methods.values(), authentication, assertion)
    except ValidationError:
        raise DocumentInvalid(f"it has names that cannot be used, or more than {MOST_METHODS} keys") from None


def _named(methods: dict[str, VerificationMethod], did: str, found: Mapping[str, Any], what: Relationship) -> list[str]:
    """Return the names of keys that are for something; a key that is written down there alone is kept first."""
    names: dict[str, None] = {}
    for entry in _listed(found, what):
        name = _keep(methods, did, entry) if isinstance(entry, Mapping) else _absolute(did, entry)
        if name in methods:
            names[name] = None
    return list(names)


def _keep(methods: dict[str, VerificationMethod], did: str, entry: object) -> str:
    """Keep a verification method if it counts, and return its name; empty if it does not."""
    if not isinstance(entry, Mapping):
        raise DocumentInvalid("a verification method is an object")
    name = _absolute(did, entry.get("id"))
    key = _key(entry)
    if not name or key is None or entry.get("controller") != did:
        return ""
    if name in methods:
        raise DocumentInvalid("two verification methods have one name")
    try:
        methods[name] = VerificationMethod(id=name, type="JsonWebKey", controller=did, public_key_jwk=key)
    except ValidationError:
        raise DocumentInvalid("a verification method has a name that cannot be used") from None
    return name


def _key(entry: Mapping[str, Any]) -> PublicKey | None:
    """Return the P-256 key of a verification method, or none where it has another."""
    written, encoded = entry.get("publicKeyJwk"), entry.get("publicKeyMultibase")
    if isinstance(written, Mapping) and "d" in written:
        raise DocumentInvalid("it publishes a private key, which is nobody's any more")
    keys = [key for key in (_from_jwk(written), _from_multibase(encoded)) if key is not None]
    if len(keys) == 2 and keys[0] != keys[1]:
        raise DocumentInvalid("a verification method has two different keys")
    return keys[0] if len(keys) == sum(value is not None for value in (written, encoded)) and keys else None


def _from_jwk(written: object) -> PublicKey | None:
    if not isinstance(written, Mapping) or written.get("use", "sig") != "sig" or written.get("alg", "ES256") != "ES256":
        return None
    try:
        key = PublicKey.model_validate({name: written.get(name) for name in ("kty", "crv", "x", "y")})
        load_public(key)
    except ValueError:
        return None
    return key


def _from_multibase(encoded: object) -> PublicKey | None:
    try:
        key = read_multikey(encoded) if isinstance(encoded, str) else None
    except DidInvalid:
        return None
    return key if isinstance(key, PublicKey) else None


def _absolute(did: str, name: object) -> str:
    """Return a name within the document as a DID URL; empty where it is another's, or no name."""
    if not isinstance(name, str):
        return ""
    whole = did + name if name.startswith("#") else name
    return whole if whole.startswith(f"{did}#") else ""


def _listed(found: Mapping[str, Any], name: str) -> Sequence[Any]:
    listed = found.get(name, [])
    if not isinstance(listed, list) or len(listed) > 4 * MOST_METHODS:
        raise DocumentInvalid(f"{name} is a list of at most {4 * MOST_METHODS}")
    return listed


def _is_address(host: str) -> bool:
    """Whether a name is an IPv4 address in one of its spellings, as what resolves names would read it."""
    return re.fullmatch(r"0x[0-9a-f]*|[0-9]+", host.rpartition(".")[2]) is not None
