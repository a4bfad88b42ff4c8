"""Sites with policies of their own: built from the example by a real OPA, signed by the owner's key."""

import json
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from adapters.member import Member
from controlplane.bundles import BundleSigner
from controlplane.releases.building import UnsignedBundle, build
from controlplane.sidecar import OpaBinary, locate_opa
from tests.support import ControlPlane

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


def outgoing(folder: Path) -> list[tuple[str, list[str], dict[str, Any]]]:
    """Return what the site of a member decided of its updates: outcome, reasons, and what it was told of each."""
    with Member.open(folder) as member:
        assert member.site is not None
        lines = [line for line in member.site.chain.read() if line.decision.action == "update_out"]
    return [(one.decision.outcome, list(one.decision.reasons), one.facts["context"]["update"]) for one in lines]


def vetoes(plane: ControlPlane, subject: str) -> list[tuple[str, list[str]]]:
    """Return what the control plane has on record of a site's vetoes: action and codes, oldest first."""
    operator = plane.enrol("operator")
    found = operator.get(f"/v1/decisions?subject={subject}&action=site&outcome=deny&limit=100").expect(200)
    records = [operator.get(f"/v1/decisions/{one['id']}").expect(200) for one in reversed(found["decisions"])]
    return [(record["action"], [reason["code"] for reason in record["reasons"]]) for record in records]
