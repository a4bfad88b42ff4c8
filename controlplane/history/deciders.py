"""The policies that made a recorded decision, where they are still at hand."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.authoring.folder import PolicyFolder
from controlplane.bundles import BundleRefused, Trust, verify
from controlplane.sidecar.bundle import git_commit, read_policies, revision_of
from controlplane.storage.releases import Releases


@dataclass(frozen=True)
class Deciders:
    """Policies to explain a decision by.

    Attributes:
        revision: of the base.
        is_same: whether they say what the policies that decided said.
        is_released: whether they come from the store's releases, and not from a folder that people know.
    """

    folder: PolicyFolder
    revision: str
    is_same: bool
    is_released: bool


@asynccontextmanager
async def deciders(
    revision: str, today: PolicyFolder, releases: Releases | None, trust: Trust | None
) -> AsyncIterator[Deciders]:
    """Hold the policies that decided: today's folder, or else the source of their release; without either, today's.

    Args:
        revision: as the decision carries it.
        today: the policies of now.
        releases: where others may be found; none to look by today's, whatever decided.
        trust: whose bundles may be believed; a release that does not verify is not looked at.

    Raises:
        BundleError: today's folder holds no policies.
        StoreUnavailable: the releases cannot be read.
    """
    current = await asyncio.to_thread(_revision, today.root)
    is_current = content_of(current) == content_of(revision)
    source = None
    if not is_current and releases is not None and trust is not None:
        source = await _source(releases, trust, revision)
    if source is None:
        yield Deciders(today, current, is_current, is_released=False)
        return
    with tempfile.TemporaryDirectory(prefix="ztfm-source-") as place:
        await asyncio.to_thread(_unpack, source, Path(place))
        yield Deciders(PolicyFolder.open(Path(place), today.built_in), base_of(revision), True, is_released=True)


def base_of(revision: str) -> str:
    """Return the base's part of a revision, which names every layer that decided."""
    return revision.partition("+")[0]


def content_of(revision: str) -> str:
    """Return the part of a revision that names the base's content; the commit may differ where nothing else does."""
    return base_of(revision).rpartition(".")[2]


def _revision(folder: Path) -> str:
    return revision_of(read_policies(folder), git_commit(folder))


async def _source(releases: Releases, trust: Trust, revision: str) -> Mapping[str, bytes] | None:
    for release in await releases.recent(["base"]):
        if content_of(release.revision) == content_of(revision):
            body = await releases.body(release.digest)
            try:
                verified = None if body is None else await asyncio.to_thread(verify, body, trust, "base")
                return None if verified is None else verified.source()
            except BundleRefused:
                return None
    return None


def _unpack(source: Mapping[str, bytes], folder: Path) -> None:
    for name, body in source.items():
        # Names were examined when the bundle was read: none leads out of the folder.
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
