"""What is in a bundle, and what of OPA's data each layer owns."""

from collections.abc import Mapping

from controlplane.contracts.policies import PolicyLayer

MANIFEST = ".manifest"
SIGNATURES = ".signatures.json"
DATA = "data.json"

SOURCE = "source.tar"
"""The whole policy folder, with tests and schemas. OPA ignores it; its signature does not."""

WASM = "embedded.wasm"
"""The layer's rules compiled to WebAssembly, with the entry point below. OPA ignores it, by its name."""

ROOTS: Mapping[PolicyLayer, tuple[str, ...]] = {"base": ("data", "ztfm"), "tenant": ("tenant",), "site": ("site",)}
"""The parts of OPA's data that a layer owns, all of them and no other."""

ENTRYPOINTS: Mapping[PolicyLayer, str] = {
    "base": "ztfm/batch/decisions",
    "tenant": "tenant/batch/answers",
    "site": "site/batch/answers",
}
"""What is asked of a layer, as a path."""
