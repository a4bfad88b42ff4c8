"""The policies that are edited, and what somebody made of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from controlplane.authoring.errors import DraftMoved
from controlplane.bundles import BundleRefused, Trust
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.workbench import MAX_BYTES, MAX_FILES, PolicySources, SourceFile
from controlplane.releases.building import BuildError, read_source
from controlplane.releases.publishing import open_release
from controlplane.sidecar.bundle import git_commit, is_bundled, revision_of
from controlplane.storage.releases import Releases


@dataclass(frozen=True)
class Edited:
    """The policies of a layer as they are now.

    Attributes:
        files: content by path.
    """

    layer: PolicyLayer
    revision: str
    origin: Literal["release", "folder", "none"]
    files: Mapping[str, bytes] = field(repr=False)

    def told(self) -> PolicySources:
        """Return them as they are shown."""
        files = [SourceFile(path=path, text=_text(body)) for path, body in sorted(self.files.items())]
        return PolicySources(layer=self.layer, revision=self.revision, origin=self.origin, files=files)


class Drafts:
    """Knows which policies are edited: those that are to decide, or else those of the installation.

    What others released is edited on, so that nobody's release takes back another's.

    Args:
        releases: what was released.
        trust: whose releases count.
        folder: the installation's.
    """

    def __init__(self, releases: Releases, trust: Trust, folder: Path) -> None:
        self._releases = releases
        self._trust = trust
        self._folder = folder
        self._known: dict[PolicyLayer, tuple[str, Edited]] = {}

    async def edited(self, layer: PolicyLayer) -> Edited:
        """Return the policies of a layer as they are now.

        Raises:
            BundleRefused: ``too_large``: more than is edited here; ``cannot_be_checked``: they cannot be read.
            StoreUnavailable: the store failed.
        """
        head = (await self._releases.heads()).get(layer)
        if head is None:
            return await self._of_folder(layer)
        digest, known = self._known.get(layer, ("", None))
        if known is None or digest != head.digest:
            try:
                verified = await open_release(self._releases, head, self._trust)
                known = Edited(layer, head.revision, "release", _bounded(verified.source()))
            except BundleRefused as refused:
                if refused.reason != "cannot_be_checked":
                    raise
                # It brings no source: built elsewhere, or shipped compiled.
                known = await self._of_folder(layer)
            self._known[layer] = (head.digest, known)
        return known

    async def draft(
        self, layer: PolicyLayer, changes: Mapping[str, str | None], revision: str | None
    ) -> dict[str, bytes]:
        """Return the files of a draft: those that are edited, with changes.

        Args:
            layer: that is edited.
            changes: whole texts by path, none for a file that goes.
            revision: that is edited, where it matters that it is still the same.

        Raises:
            DraftMoved: it is another by now.
            BundleRefused: ``too_large``; ``malformed``: a path is a file and a folder; as `edited`.
            StoreUnavailable: the store failed.
        """
        edited = await self.edited(layer)
        if revision is not None and revision != edited.revision:
            raise DraftMoved(f"the policies are at revision {edited.revision or 'none'} by now, and not at {revision}")
        return await asyncio.to_thread(_changed, edited.files, changes)

    async def _of_folder(self, layer: PolicyLayer) -> Edited:
        if layer != "base":
            return Edited(layer, "", "none", {})
        try:
            return await asyncio.to_thread(_read, self._folder)
        except (BuildError, OSError) as error:
            raise BundleRefused("cannot_be_checked", str(error)) from None


def _changed(edited: Mapping[str, bytes], changes: Mapping[str, str | None]) -> dict[str, bytes]:
    files = {path: body for path, body in edited.items() if path not in changes}
    files |= {path: text.encode() for path, text in changes.items() if text is not None}
    for path in files:
        for above in list(Path(path).parents)[:-1]:
            if above.as_posix() in files:
                raise BundleRefused("malformed", f"{above.as_posix()} is a file, and cannot hold {path}")
    return _bounded(files)


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into an empty folder.

    Raises:
        OSError: they cannot be written.
    """
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def _read(folder: Path) -> Edited:
    files = _bounded(read_source(folder, "base"))
    rules = {name: body for name, body in files.items() if is_bundled(Path(name))}
    return Edited("base", revision_of(rules, git_commit(folder)), "folder", files)


def _bounded(files: dict[str, bytes]) -> dict[str, bytes]:
    if len(files) > MAX_FILES:
        raise BundleRefused("too_large", f"there are {len(files):,} files; at most {MAX_FILES:,} are edited here")
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise BundleRefused("too_large", f"the files have {size:,} bytes; at most {MAX_BYTES:,} are edited here")
    return files


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
