"""A small bundle, as `ztfm policy build` would build it, and ways to sign another one wrongly."""

import json
from collections.abc import Mapping
from typing import Any

from controlplane.bundles import BundleSigner, read_archive, write_archive
from controlplane.bundles.archive import write_tar
from controlplane.bundles.layout import DATA, MANIFEST, SIGNATURES, SOURCE, WASM
from controlplane.jose.jws import decode_segment, encode_segment

REVISION = "0123456789ab.00112233aabbccdd"
BATCH = b"package ztfm.batch\n\ndecisions := {}\n"


def manifest(layer: str = "base", **other: Any) -> bytes:
    """A manifest, with parts of it replaced."""
    roots = {"base": ["data", "ztfm"], "tenant": ["tenant"], "site": ["site"]}[layer]
    whole = {"revision": REVISION, "roots": roots, "rego_version": 1, "metadata": {"layer": layer}, **other}
    return json.dumps(whole).encode()


def files(layer: str = "base") -> dict[str, bytes]:
    """The files of a bundle without a signature."""
    root = "ztfm" if layer == "base" else layer
    rules = BATCH.replace(b"ztfm", root.encode())
    return {
        MANIFEST: manifest(layer),
        DATA: json.dumps({root: {"limits": {"a": 1.5, "b": [1e3, None], "c": "<é\u2028>"}}}).encode(),
        f"{root}/batch/batch.rego": rules,
        SOURCE: write_tar({f"{root}/batch/batch.rego": rules}),
        WASM: b"\0asm",
    }


def unpacked_token(body: bytes) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Header, payload and signature of a bundle's token."""
    token = json.loads(read_archive(body)[SIGNATURES])["signatures"][0]
    header, payload, signature = token.split(".")
    return json.loads(decode_segment(header.encode())), json.loads(decode_segment(payload.encode())), signature


def with_token(body: bytes, token: str) -> bytes:
    """The bundle with another token."""
    return write_archive({**read_archive(body), SIGNATURES: json.dumps({"signatures": [token]}).encode()})


def signed_anyway(signer: BundleSigner, body: bytes, header: Mapping[str, Any], claims: Mapping[str, Any]) -> bytes:
    """The bundle with a true signature of the signer over whatever header and claims."""
    return with_token(body, signer._token(json.dumps(header).encode(), json.dumps(claims).encode()))


def segments(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bytes:
    """What a signature is over."""
    return b".".join(encode_segment(json.dumps(part).encode()) for part in (header, claims))
