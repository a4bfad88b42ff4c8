"""In which rounds' secure sums a device already is: of each, in one alone, whatever a server asks for later."""

import hashlib
from pathlib import Path

from controlplane.capabilities.keyfiles import create_private

FOLDER = "sums"
_MOST = 256


class Sums:
    """Remembers what was masked in which round, also across restarts and among processes of one device.

    Args:
        folder: the device's own; none remembers in this process alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._known: dict[str, str] = {}

    def join(self, round_id: str, digest: str) -> bool:
        """Whether masked values may be in a sum of a round: they are the first in it, or these very ones were.

        The latest 256 rounds are remembered.

        Args:
            round_id: of the round; no control plane opens one of that name again.
            digest: of the masked values.

        Raises:
            OSError: it cannot be kept.
            KeyFileError: others can read what was kept.
        """
        if self._folder is None:
            known = self._known.setdefault(round_id, digest)
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
            return known == digest
        name = hashlib.sha256(round_id.encode()).hexdigest()
        kept = create_private(self._folder / name, digest.encode())
        _forget(self._folder)
        return kept == digest.encode()


def _forget(folder: Path) -> None:
    """Remove what is older than the latest rounds."""
    kept = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_changed_at)
    for path in kept[:-_MOST]:
        path.unlink(missing_ok=True)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        # Another process of the device was faster.
        return 0.0
