"""Look at a folder until something in it changes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

INTERVAL_SECONDS = 0.1
_WATCHED = {".rego", ".json", ".yaml"}

Snapshot = dict[Path, tuple[int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Return when each policy, test, example and piece of data was changed, and how long it is."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix in _WATCHED:
            try:
                state = path.stat()
            except OSError:
                continue
            found[path] = (state.st_mtime_ns, state.st_size)
    return found


def changes(
    folder: Path, seen: Snapshot | None = None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Path]]:
    """Give the files that were changed, made or removed, whenever some were, for ever.

    What changes while the caller is at work is given next.
    """
    seen = snapshot(folder) if seen is None else seen
    while True:
        now = snapshot(folder)
        if now == seen:
            sleep(INTERVAL_SECONDS)
            continue
        changed = sorted(path for path in {*now, *seen} if now.get(path) != seen.get(path))
        seen = now
        yield changed
