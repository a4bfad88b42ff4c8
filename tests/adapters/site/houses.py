"""Sites with policies of their own: built from the example by a real OPA, signed by the owner's key."""

import json
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from controlplane.bundles import BundleSigner
from controlplane.releases.building import UnsignedBundle, build
from controlplane.sidecar import OpaBinary, locate_opa

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "site"
MODEL = "smart-home-intents"
ALWAYS = {"opens_at_second": 0, "closes_at_second": 86400}
OWNER = BundleSigner.generate()
"""The key of whoever owns the site."""

HOUSE: dict[str, Any] = json.loads((EXAMPLE / "site" / "data" / "house" / "data.json").read_text())


@cache
def _opa() -> OpaBinary:
    return locate_opa(os.environ)


def house_of(**terms: Any) -> dict[str, Any]:
    """Return the example's data, open all day, with other terms for its model; ``models`` replaces these."""
    models = terms.pop("models", None) or {MODEL: {**HOUSE["models"][MODEL], "norm_maximum": 1000, **terms}}
    return {**HOUSE, **ALWAYS, "models": models}


def built(work: Path, house: dict[str, Any], rules: dict[str, str] | None = None) -> UnsignedBundle:
    """Build the example with other data, and with other files in place of its own; an empty one is taken away."""
    folder = work / "policy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder)
    (folder / "site" / "data" / "house" / "data.json").write_text(json.dumps(house))
    for name, text in (rules or {}).items():
        path = folder / "site" / name
        if text:
            path.write_text(text)
        else:
            path.unlink()
    return build(_opa(), folder, "site")


def signed(bundle: UnsignedBundle, signer: BundleSigner = OWNER) -> bytes:
    """Return a bundle as its owner signs it."""
    return signer.sign(dict(bundle.files), "site", bundle.revision)


def furnish(member_folder: Path, body: bytes, trusted: BundleSigner = OWNER) -> Path:
    """Make a member part of a site whose policy is ``body``; return the site's folder."""
    site = member_folder / "site"
    keys = site / "trust" / "site"
    keys.mkdir(mode=0o755, parents=True)
    (keys / "owner.pem").write_text(trusted.public_pem)
    (site / "policy.tar.gz").write_bytes(body)
    for path in (site, *site.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o022)
    return site
