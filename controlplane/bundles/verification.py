"""Verify bundles without OPA: who signed what, for which layer. Nothing of a bundle is used before that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from controlplane.bundles.archive import MAX_FILES, read_archive, read_tar
from controlplane.bundles.errors import BundleRefused
from controlplane.bundles.hashing import opa_hashes, raw_hashes
from controlplane.bundles.keys import Trust
from controlplane.bundles.layout import DATA, MANIFEST, ROOTS, SIGNATURES, SOURCE, WASM
from controlplane.bundles.reach import require_confined
from controlplane.contracts.base import StrictModel
from controlplane.contracts.policies import PolicyLayer, Revision, digest_of
from controlplane.jose.jws import Compact, is_signed_by, parse, parse_object, read_header

MAX_SIGNATURE_CHARS = 4 * 1024 * 1024

_KNOWN = frozenset({MANIFEST, DATA, SOURCE, WASM, SIGNATURES})
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _FileHash(StrictModel):
    name: Annotated[str, StringConstraints(max_length=256)]
    hash: _Sha256
    algorithm: Literal["SHA-256"]


class _Content(StrictModel):
    layer: PolicyLayer
    revision: Revision
    files: Annotated[dict[str, _Sha256], Field(max_length=MAX_FILES)]


class _Claims(StrictModel):
    files: Annotated[list[_FileHash], Field(max_length=MAX_FILES)]
    scope: PolicyLayer
    ztfm: _Content


class _Signatures(StrictModel):
    signatures: Annotated[list[str], Field(max_length=1)]


class _Metadata(StrictModel):
    layer: PolicyLayer


class Manifest(StrictModel):
    """A bundle's ``.manifest``: what OPA knows of it. Whatever else OPA would read in one is refused.

    Attributes:
        roots: the parts of OPA's data that the bundle owns.
        rego_version: of the language, 1.
        metadata: names the layer.
    """

    revision: Revision
    roots: Annotated[list[str], Field(max_length=8)]
    rego_version: Annotated[int, Field(ge=1, le=1)]
    metadata: _Metadata


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle that somebody who is trusted for its layer signed, as it is.

    Attributes:
        digest: ``sha256:`` and the SHA-256 of the body.
        key_id: of the key that signed.
        files: content by name, signature left out.
        body: the bundle as it came, which is as OPA gets it.
    """

    layer: PolicyLayer
    revision: str
    digest: str
    key_id: str
    files: Mapping[str, bytes] = field(repr=False)
    body: bytes = field(repr=False)

    def source(self) -> dict[str, bytes]:
        """Return the files that the bundle was built from, by name.

        Raises:
            BundleRefused: ``cannot_be_checked``: it brings none; ``malformed``: they cannot be read;
                ``does_not_compile``: rules or tests among them call what no policy may.
        """
        if SOURCE not in self.files:
            raise BundleRefused("cannot_be_checked", f"the bundle has no {SOURCE}: build it with `ztfm policy build`")
        found = read_tar(self.files[SOURCE])
        # Whoever checks or explains evaluates these.
        require_confined(found)
        return found


def verify(body: bytes, trust: Trust, layer: PolicyLayer) -> VerifiedBundle:
    """Return a bundle whose signature, content and layer are as they must be.

    Raises:
        BundleRefused: ``too_large``, ``malformed``, ``unsigned``, ``untrusted`` (by a key that is not trusted for this
            layer, or an algorithm that no key is trusted with), ``tampered`` (not what was signed), ``conflicting``
            (signed for another layer, or it claims what another layer owns), ``does_not_compile`` (its rules call
            what no policy may).
    """
    files = read_archive(body)
    token, key_id = _authenticated(_signature(files), trust, layer)
    claims = _claims(token)
    content = {name: data for name, data in files.items() if name != SIGNATURES}
    _require_content(content, claims)
    if {claims.scope, claims.ztfm.layer} != {layer}:
        raise BundleRefused("conflicting", f"the bundle is signed as {claims.scope}, and is offered as {layer}")
    manifest = read_manifest(content)
    _require_layer(manifest, layer)
    if manifest.revision != claims.ztfm.revision:
        raise BundleRefused("malformed", "the manifest and the signature name two revisions")
    require_confined(content)
    return VerifiedBundle(layer, manifest.revision, digest_of(body), key_id, content, body)


def read_manifest(files: Mapping[str, bytes]) -> Manifest:
    """Return the manifest among a bundle's files, of which nothing is verified here.

    Raises:
        BundleRefused: ``malformed``: it has none, or one that says what no bundle of ours says; or there is a file that
            OPA would take for something else than rules and data.
    """
    odd = sorted(name for name in files if name not in _KNOWN and not name.endswith(".rego"))
    if odd:
        raise BundleRefused("malformed", f"a bundle of policies has no file {odd[0]!r}")
    try:
        return Manifest.model_validate(parse_object(files.get(MANIFEST, b"")))
    except (ValueError, RecursionError):
        raise BundleRefused("malformed", f"the bundle has no {MANIFEST} as `ztfm policy build` writes it") from None


def _require_layer(manifest: Manifest, layer: PolicyLayer) -> None:
    if manifest.metadata.layer != layer or sorted(manifest.roots) != sorted(ROOTS[layer]):
        raise BundleRefused(
            "conflicting",
            f"the manifest claims {', '.join(manifest.roots)} as {manifest.metadata.layer}; "
            f"{layer} owns {' and '.join(ROOTS[layer])}",
        )


def signer_of(token: str, trust: Trust, layer: PolicyLayer) -> str:
    """Return the id of the key that signed a token for bundles of a layer, whatever it signed.

    Raises:
        BundleRefused: as `verify` does of a bundle's signature.
    """
    return _authenticated(token, trust, layer)[1]


def _authenticated(text: str, trust: Trust, layer: PolicyLayer) -> tuple[Compact, str]:
    try:
        header = read_header(text)
    except (ValueError, RecursionError):
        raise BundleRefused("malformed", "the signature is no compact JWS") from None
    if header.get("alg") == "none":
        raise BundleRefused("unsigned", "the signature says that there is none (alg none)")
    key_id = header.get("kid")
    if header.get("alg") != "ES256":
        raise BundleRefused("untrusted", "policies are signed with ES256 and nothing else")
    key = trust.keys(layer).get(key_id) if isinstance(key_id, str) else None
    if key is None or not isinstance(key_id, str):
        raise BundleRefused("untrusted", f"the key {str(key_id)[:64]!r} is not trusted to sign for {layer}")
    token = parse(text, MAX_SIGNATURE_CHARS)
    if token is None or set(header) != {"alg", "kid"}:
        raise BundleRefused("malformed", "the signature is no compact JWS with alg and kid in its header")
    if not is_signed_by(key, token):
        raise BundleRefused("tampered", f"the signature is not one of the key {key_id}")
    return token, key_id


def _signature(files: Mapping[str, bytes]) -> str:
    if SIGNATURES not in files:
        raise BundleRefused("unsigned", f"the bundle has no {SIGNATURES}: sign it with `ztfm policy sign`")
    try:
        found = _Signatures.model_validate(parse_object(files[SIGNATURES])).signatures
    except (ValueError, RecursionError):
        raise BundleRefused("malformed", f"{SIGNATURES} is not one list of one signature") from None
    if not found:
        raise BundleRefused("unsigned", f"{SIGNATURES} holds no signature")
    return found[0]


def _claims(token: Compact) -> _Claims:
    try:
        return _Claims.model_validate(parse_object(token.payload))
    except (ValidationError, ValueError, RecursionError):
        raise BundleRefused("malformed", "the signature does not say what it is over, or in another form") from None


def _require_content(content: Mapping[str, bytes], claims: _Claims) -> None:
    found = raw_hashes(content)
    changed = sorted(set(found.items()) ^ set(claims.ztfm.files.items()))
    if changed:
        raise BundleRefused("tampered", f"{changed[0][0]!r} is not what was signed")
    # OPA reads these; a signature that says one thing to it and another to us is none.
    if [item.model_dump() for item in claims.files] != opa_hashes(content):
        raise BundleRefused("tampered", "the hashes for OPA are not those of the files")
