"""Write files for an OPA to read: private, or whole."""

import tempfile
from pathlib import Path

SHARED_MODE = 0o644


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(text)


def write_whole(path: Path, body: bytes) -> None:
    """Write a file that whoever may enter its folder can read, and never sees half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(body)
    written = Path(file.name)
    written.chmod(SHARED_MODE)
    written.replace(path)
