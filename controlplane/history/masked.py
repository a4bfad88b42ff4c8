"""Records of which policy kept something out: what else can be said of them."""

from pathlib import Path

from controlplane.history.records import Recorded
from controlplane.history.sources import Sources, read_sources
from controlplane.sidecar import OpaBinary


def rego_package(recorded: Recorded, sources: Sources) -> str:
    """Return the Rego package whose rules decide: an author's own for a type of resource of theirs."""
    own = f"ztfm.extra.{recorded.facts['resource']['type']}"
    if recorded.package == "other" and sources.decides(own):
        return own
    return f"ztfm.{recorded.package}"


def masked_and_read(recorded: Recorded, sources: Sources) -> tuple[str, ...]:
    """Return pointers to facts that are masked in a record and that a decision on it may depend on."""
    package = rego_package(recorded, sources)
    return tuple(pointer for pointer in recorded.masked if sources.reads(package, _steps(pointer)))


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


class Readers:
    """Tells which records a policy folder cannot decide again; its rules are read when the first masked one comes."""

    def __init__(self, opa: OpaBinary, folder: Path) -> None:
        self._opa = opa
        self._folder = folder
        self._sources: Sources | None = None

    async def reads_masked(self, recorded: Recorded) -> bool:
        """Whether a decision on a record may depend on what was kept out of it.

        Raises:
            BundleError: the policies cannot be parsed.
        """
        if not recorded.masked:
            return False
        if self._sources is None:
            self._sources = await read_sources(self._opa, self._folder)
        return bool(masked_and_read(recorded, self._sources))
