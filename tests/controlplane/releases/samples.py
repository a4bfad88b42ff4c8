"""Bundles and releases as tests need them."""

import json
from dataclasses import dataclass, field

from controlplane.bundles import BundleSigner
from controlplane.bundles.layout import ROOTS
from controlplane.contracts.policies import PolicyLayer, Refusal, Release, ReleaseOrigin, digest_of

NOW = 1_767_225_600.0


@dataclass
class Counting:
    """Remembers what was released and refused."""

    releases: list[Release] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def released(self, release: Release) -> None:
        self.releases.append(release)

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)


def revision(name: str) -> str:
    return f"nogit.{digest_of(name.encode())[7:23]}"


def signed(signer: BundleSigner, name: str, layer: PolicyLayer = "base") -> bytes:
    """Return the smallest bundle of a layer, another for every name."""
    manifest = {
        "revision": revision(name),
        "roots": list(ROOTS[layer]),
        "rego_version": 1,
        "metadata": {"layer": layer},
    }
    root = ROOTS[layer][-1]
    files = {
        ".manifest": json.dumps(manifest).encode(),
        f"{root}/batch/batch.rego": f'package {root}.batch\n\nname := "{name}"\n'.encode(),
    }
    return signer.sign(files, layer, revision(name))


def release(sequence: int, name: str, origin: ReleaseOrigin = "published", layer: PolicyLayer = "base") -> Release:
    """Return a release of what is called ``name``."""
    return Release(
        sequence=sequence,
        layer=layer,
        revision=revision(name),
        digest=digest_of(name.encode()),
        key_id="k" * 43,
        origin=origin,
        published_at=NOW + sequence,
        published_by="local:author",
        size_bytes=1,
    )
