"""DID documents, and what a resolution returns (W3C Decentralized Identifiers 1.0, DID Resolution 1.0).

A document here holds what counts here and no more: keys, and what they are for. Whatever else another publishes in
its document is left out, so that nobody downstream reads a meaning into it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from controlplane.contracts.base import Identifier, StrictModel, Timestamp
from controlplane.contracts.identity import Coordinate, PublicKey
from controlplane.identifiers.dids import DidName, DidUrl, parse_did
from controlplane.jose.keys import thumbprint

MOST_METHODS = 16
"""Verification methods that a document may have."""

CONTEXT = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1")
MEDIA_TYPE = "application/did+json"

Relationship = Literal["authentication", "assertionMethod"]
"""What a key may be for: to show who one is, or to sign statements such as credentials and records."""

ErrorName = Literal["invalidDid", "invalidDidDocument", "internalError", "methodNotSupported", "notAllowed", "notFound"]
"""Why a DID does not resolve; all but ``notAllowed`` are DID Resolution's own."""

_TYPES: dict[ErrorName, str] = {
    "invalidDid": "https://www.w3.org/ns/did#INVALID_DID",
    "invalidDidDocument": "https://www.w3.org/ns/did#INVALID_DID_DOCUMENT",
    "internalError": "https://www.w3.org/ns/did#INTERNAL_ERROR",
    "methodNotSupported": "https://www.w3.org/ns/did#METHOD_NOT_SUPPORTED",
    "notAllowed": "urn:ztfm:did-resolution:not-allowed",
    "notFound": "https://www.w3.org/ns/did#NOT_FOUND",
}
ERRORS: tuple[ErrorName, ...] = get_args(ErrorName)


class _Camel(StrictModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


class Ed25519Key(StrictModel):
    """An Ed25519 public key as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Coordinate


class Secp256k1Key(StrictModel):
    """A secp256k1 public key as a JWK (RFC 8812)."""

    kty: Literal["EC"]
    crv: Literal["secp256k1"]
    x: Coordinate
    y: Coordinate


Jwk = Annotated[PublicKey | Ed25519Key | Secp256k1Key, Field(discriminator="crv")]
"""A public key of a kind that is read. Signatures are verified with P-256 alone."""


class VerificationMethod(_Camel):
    """A key of a subject, or an account of a chain that speaks for it.

    Attributes:
        id: its name, a DID URL.
        type: how it is written down: ``JsonWebKey``, or a chain's own.
        controller: who may change it.
        public_key_jwk: the key; none where only an account is known.
        blockchain_account_id: the account (CAIP-10); none for a key.
    """

    id: DidUrl
    type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]{0,63}$")]
    controller: DidName
    public_key_jwk: Jwk | None = None
    blockchain_account_id: Annotated[str, StringConstraints(max_length=192, pattern=r"^[-A-Za-z0-9:]+$")] | None = None


_References = Annotated[list[DidUrl], Field(max_length=MOST_METHODS)]


class DidDocument(_Camel):
    """What a DID stands for.

    Attributes:
        context: for those who read it as JSON-LD.
        id: the DID.
        verification_method: its keys.
        authentication: names of those that show who somebody is.
        assertion_method: names of those that sign statements.
        capability_invocation: names of those that use what was granted; only some methods have it.
        capability_delegation: names of those that hand on what was granted; only some methods have it.
    """

    context: Annotated[list[Annotated[str, StringConstraints(max_length=256)]], Field(alias="@context", max_length=8)]
    id: DidName
    verification_method: Annotated[list[VerificationMethod], Field(max_length=MOST_METHODS)]
    authentication: _References
    assertion_method: _References
    capability_invocation: _References | None = None
    capability_delegation: _References | None = None

    def keys_for(self, relationship: Relationship) -> dict[str, PublicKey]:
        """Return the P-256 keys that are for something, by their names in this document."""
        named = self.authentication if relationship == "authentication" else self.assertion_method
        return {
            method.id: method.public_key_jwk
            for method in self.verification_method
            if method.id in named and isinstance(method.public_key_jwk, PublicKey)
        }


class ResolutionError(StrictModel):
    """Why a DID does not resolve, in the form of RFC 9457.

    Attributes:
        type: DID Resolution's own, or ours.
        title: the error's name: `ErrorName`.
        detail: what happened, and what to do.
    """

    type: Annotated[str, StringConstraints(max_length=128)]
    title: ErrorName
    detail: Annotated[str, StringConstraints(max_length=512)]


class ResolutionMetadata(_Camel):
    """How a resolution went.

    Attributes:
        content_type: of the document; none where there is none.
        retrieved: when it was learnt, UTC (XML Schema's dateTime).
        from_cache: whether it was known from before.
        error: why there is no document; none where there is one.
    """

    content_type: str | None = None
    retrieved: str
    from_cache: bool
    error: ResolutionError | None = None


class DocumentMetadata(_Camel):
    """What is known of a document beside what it says.

    Attributes:
        deactivated: the DID was given up, or what it names was revoked; nothing that it signs counts.
        version_id: of the document, where its method knows versions.
        canonical_id: the DID that a name of ours stands for.
        equivalent_id: names of ours for what the DID stands for.
    """

    deactivated: bool | None = None
    version_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    canonical_id: DidName | None = None
    equivalent_id: Annotated[list[Identifier], Field(max_length=8)] | None = None


class Resolution(_Camel):
    """What a resolution returns, as DID Resolution has it.

    Attributes:
        did_document: what the DID stands for; none where it does not resolve.
        did_resolution_metadata: how it went.
        did_document_metadata: what is known of the document.
    """

    did_document: DidDocument | None = None
    did_resolution_metadata: ResolutionMetadata
    did_document_metadata: DocumentMetadata

    @property
    def error(self) -> ErrorName | None:
        """Why the DID does not resolve; none where it does."""
        found = self.did_resolution_metadata.error
        return None if found is None else found.title

    @property
    def is_deactivated(self) -> bool:
        """Whether the DID was given up."""
        return bool(self.did_document_metadata.deactivated)

    def keys_for(self, relationship: Relationship) -> dict[str, PublicKey]:
        """Return the P-256 keys that count now: none where the DID does not resolve, or was given up."""
        if self.did_document is None or self.is_deactivated:
            return {}
        return self.did_document.keys_for(relationship)


def resolved(
    document: DidDocument, at: Timestamp, *, deactivated: bool = False, version: str | None = None
) -> Resolution:
    """Return the resolution of a DID that has a document, learnt at a time (Unix seconds)."""
    return Resolution(
        did_document=document,
        did_resolution_metadata=ResolutionMetadata(content_type=MEDIA_TYPE, retrieved=moment(at), from_cache=False),
        did_document_metadata=DocumentMetadata(deactivated=deactivated or None, version_id=version),
    )


def unresolved(error: ErrorName, detail: str, at: Timestamp) -> Resolution:
    """Return the resolution of a DID that has none, found out at a time (Unix seconds)."""
    stated = ResolutionError(type=_TYPES[error], title=error, detail=detail[:512])
    return Resolution(
        did_resolution_metadata=ResolutionMetadata(retrieved=moment(at), from_cache=False, error=stated),
        did_document_metadata=DocumentMetadata(),
    )


def moment(seconds: float) -> str:
    """Return a time (Unix seconds) as XML Schema's dateTime, UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document_of(
    did: str, methods: Iterable[VerificationMethod], authentication: list[str], assertion_method: list[str]
) -> DidDocument:
    """Return a document in the form that is written here."""
    return DidDocument(
        context=list(CONTEXT),
        id=did,
        verification_method=list(methods),
        authentication=authentication,
        assertion_method=assertion_method,
    )


def organisation_document(did: str, public_key: PublicKey) -> DidDocument:
    """Return the document of an organisation, whose one key vouches for devices and signs its records.

    Args:
        did: of the organisation, such as ``did:web:example.com``.
        public_key: the key's name in the document is its thumbprint (RFC 7638), so a new key has a new name.

    Raises:
        DidInvalid: it is no DID.
    """
    parse_did(did)
    name = f"{did}#{thumbprint(public_key)}"
    method = VerificationMethod(id=name, type="JsonWebKey", controller=did, public_key_jwk=public_key)
    return document_of(did, [method], [name], [name])
