"""Which modules parse bytes of others, and which of them the targets reach. Both are found, not listed."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

PARSING = frozenset(
    {
        *("json.loads", "orjson.loads", "read_json", "parse_object", "model_validate_json", "validate_json"),
        *("FromString", "ParseFromString", "inflate", "int.from_bytes", "struct.unpack", "http_sf.parse", "parse_qsl"),
        *("x509.load_der_x509_certificate", "x509.load_pem_x509_certificate", "x509.load_pem_x509_certificates"),
        *("zlib.decompressobj", "zlib.decompress", "cbor2.loads", "urlsafe_b64decode", "b64decode", "base64.b64decode"),
        *("base64.urlsafe_b64decode", "PEM_cert_to_DER_cert", "ssl.PEM_cert_to_DER_cert", "decode_segment"),
    }
)
"""Calls that turn bytes or text into something."""


def _called(call: ast.Call) -> set[str]:
    """By which names of `PARSING` a call could go: the whole of it, and its last part alone."""
    spelled = ast.unparse(call.func)
    return {spelled, spelled.rpartition(".")[2]} if "." in spelled else {spelled}


@cache
def parsing() -> frozenset[str]:
    """Modules of the product that call one of `PARSING`."""
    return frozenset(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("adapters", "controlplane")
        for path in (ROOT / folder).rglob("*.py")
        if any(
            isinstance(node, ast.Call) and _called(node) & PARSING
            for node in ast.walk(ast.parse(path.read_text(), str(path)))
        )
    )


def reached() -> set[str]:
    """Modules of the product of which anything ran while the targets took their seeds."""
    from tests.fuzzing.targets import NAMES, target

    targets = [target(name) for name in NAMES]
    files: set[str] = set()

    def _note(frame: object, event: str, _argument: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)  # type: ignore[attr-defined] # of a frame

    before = sys.getprofile()
    sys.setprofile(_note)
    try:
        for one in targets:
            for seed in one.seeds:
                one.try_one(seed)
    finally:
        sys.setprofile(before)
    return set(_modules(files))


def _modules(files: set[str]) -> Iterator[str]:
    for file in files:
        path = Path(file)
        if path.is_relative_to(ROOT):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
