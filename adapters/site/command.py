"""What ``ztfm site`` does, for whoever owns a site; each returns what can be printed as JSON."""

import shutil
import time
from pathlib import Path
from typing import Any

from adapters.enrolment import load_key
from adapters.errors import ControlPlaneError
from adapters.member import Member
from adapters.site.errors import FAULTS, SiteFault
from adapters.site.ledger import BILLION, month_of
from adapters.site.plane import SitedSyncControlPlane
from adapters.site.policy import BUNDLE, LAYER, TRUST, load
from adapters.site.site import FOLDER, STATE, Asked, Site
from controlplane.bundles import PolicyKeyError
from controlplane.bundles.keys import read_public
from controlplane.capabilities.errors import KeyFileError

REFUSALS = (SiteFault,)
"""What is wrong with the site itself."""

FAULTS_OF_COMMANDS = (ControlPlaneError, KeyFileError, OSError, PolicyKeyError, ValueError)
"""What keeps a command from being done."""

_PROBE = Asked("ztfm-site-check", "ztfm-site-check")


def make(member_folder: Path, bundle: Path, key: Path) -> dict[str, Any]:
    """Make a device part of a site: put the policy, and the public key that may sign one, into its folder.

    Raises:
        SiteFault: the policy is not signed by that key, or cannot be used; nothing is left behind.
        FileExistsError: it is part of one already.
        OSError: a file cannot be read or written.
        PolicyKeyError: the key cannot be used.
    """
    site = member_folder / FOLDER
    if site.is_symlink() or site.exists():
        raise FileExistsError(f"{site} is there already: copy a new policy to {site / BUNDLE}, and see ztfm site check")
    read_public(key)
    (site / TRUST / LAYER).mkdir(mode=0o755, parents=True)
    (site / STATE).mkdir(mode=0o700)
    try:
        _copied(key, site / TRUST / LAYER / "owner.pem")
        _copied(bundle, site / BUNDLE)
        policy = load(site)
    except BaseException:
        shutil.rmtree(site, ignore_errors=True)
        raise
    return {"folder": str(site), "revision": policy.revision, "digest": policy.digest, "key_id": policy.key_id}


def check(member_folder: Path) -> dict[str, Any]:
    """Return how a device's site stands: its policy, whether it says anything, its record, its ledger.

    Raises:
        SiteFault: a part of it cannot be used, so that everything is vetoed.
        FileNotFoundError: the device was not enrolled, or is part of no site.
        KeyFileError: its key cannot be used.
    """
    site = _site_of(member_folder)
    policy = load(site.folder)
    for action, facts in site.probes(_PROBE).items():
        policy.ask(action, facts)
    recorded = site.chain.verify()
    month = month_of(time.time())
    with site.ledger.opened() as entry:
        balances = entry.balances(month)
        mark = entry.handed_in(site.chain.subject)
    return {
        "folder": str(site.folder),
        "device": site.chain.subject,
        "revision": policy.revision,
        "digest": policy.digest,
        "key_id": policy.key_id,
        "sets_limits": policy.sets_limits,
        "decisions": recorded,
        "to_hand_in": max(0, recorded - mark.sequence),
        "month": month,
        "epsilon": {
            model: {"month": spent.month / BILLION, "total": spent.total / BILLION} for model, spent in balances.items()
        },
    }


def log(member_folder: Path, limit: int) -> list[dict[str, Any]]:
    """Return the newest decisions of a device's site, oldest first, each with the facts that it was made on.

    Raises:
        SiteFault: the record cannot be read.
        FileNotFoundError: the device was not enrolled, or is part of no site.
        KeyFileError: its key cannot be used.
    """
    lines = _site_of(member_folder).chain.read(limit)
    return [{**line.decision.model_dump(mode="json"), "facts": line.facts} for line in lines]


def hand_in(member_folder: Path) -> int:
    """Hand in what a device's site decided; return how many decisions.

    Raises:
        SiteFault: the record cannot be read.
        ControlPlaneError: they could not be; they are kept.
        FileNotFoundError: the device was not enrolled, or is part of no site.
        KeyFileError: its key cannot be used.
    """
    _site_of(member_folder)
    with Member.open(member_folder) as member:
        plane = member.plane
        return plane.hand_in() if isinstance(plane, SitedSyncControlPlane) else 0


def remedy_of(fault: SiteFault) -> str:
    """Return what to do about a fault."""
    return FAULTS[fault.code][1]


def _site_of(member_folder: Path) -> Site:
    site = Site.of(member_folder, load_key(member_folder))
    if site is None:
        raise FileNotFoundError(f"{member_folder / FOLDER} is not there: ztfm site init makes it")
    return site


def _copied(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
    target.chmod(0o644)
