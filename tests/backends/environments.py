"""One virtual environment for each federated-learning backend whose pins are not ours.

    python -m tests.backends.environments            # all that are missing
    python -m tests.backends.environments nvflare    # this one

An environment has what `tests/backends/requirements/<name>.txt` pins, and after that, by a path file, whatever the
main environment has: torch is large and not installed twice. What both have comes from the backend's own. A line
`# hidden: <module>` among the requirements keeps a module of the main environment from being found there.
"""

import argparse
import fcntl
import hashlib
import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
FOLDER = ROOT / "build" / "backends"

_HIDDEN = "# hidden: "


def names(root: Path = HERE) -> list[str]:
    """Return the backends: whatever has a folder of tests in ``root``, or requirements, be the other missing or not."""
    folders = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    return sorted((folders - {REQUIREMENTS.name}) | {path.stem for path in (root / REQUIREMENTS.name).glob("*.txt")})


def python_of(name: str) -> Path:
    """Return the interpreter of an environment, whether it is there or not."""
    return FOLDER / name / "bin" / "python"


def is_ready(name: str) -> bool:
    """Return whether an environment is there and has what is pinned now."""
    stamp = _stamp(name)
    return python_of(name).exists() and stamp.exists() and stamp.read_text() == _wanted(name)


def make(name: str) -> Path:
    """Return the interpreter of an environment that has what is pinned; made when it is missing or another.

    Raises:
        FileNotFoundError: nothing says what is to be in it.
        subprocess.CalledProcessError: a command failed; what it said was shown.
    """
    if not _requirements(name).exists():
        raise FileNotFoundError(f"write what it needs, with versions, into {_requirements(name)}")
    with _alone(name):
        if not is_ready(name):
            _stamp(name).unlink(missing_ok=True)
            _run(sys.executable, "-m", "venv", "--clear", str(FOLDER / name))
            _run(str(python_of(name)), "-m", "pip", "install", "--quiet", "--requirement", str(_requirements(name)))
            _share(name)
            _stamp(name).write_text(_wanted(name))
    return python_of(name)


def _share(name: str) -> None:
    """Let the environment also import ours: the main environment's packages after its own, and this tree."""
    found = subprocess.run(
        [str(python_of(name)), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        check=True,
        capture_output=True,
        text=True,
    )
    own = Path(found.stdout.strip())
    hidden = [f"import sys; sys.modules[{module!r}] = None\n" for module in _hidden(name)]
    # Path files are read in the order of their names: own ones come first.
    (own / "zz_main.pth").write_text("".join([f"{_main()}\n{ROOT}\n", *hidden]))


def _hidden(name: str) -> list[str]:
    lines = _requirements(name).read_text().splitlines()
    return [line.removeprefix(_HIDDEN).strip() for line in lines if line.startswith(_HIDDEN)]


def _main() -> str:
    return str(Path(sysconfig.get_paths()["purelib"]).resolve())


def _requirements(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def _stamp(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _wanted(name: str) -> str:
    digest = hashlib.sha256(_requirements(name).read_bytes()).hexdigest()
    return json.dumps({"requirements": digest, "python": sys.version, "main": _main()})


def _run(*command: str) -> None:
    # Standard output may be somebody's JSON.
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(given: Sequence[str] | None = None) -> None:
    """Make the environments that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; none for all")
    parser.add_argument("--json", action="store_true", help="one JSON object: name -> interpreter")
    wanted = parser.parse_args(given)
    unknown = sorted(set(wanted.names) - set(names()))
    if unknown:
        parser.error(f"there is no backend {', '.join(unknown)}; there are {', '.join(names())}")
    made = {}
    for name in wanted.names or names():
        try:
            made[name] = str(make(name))
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"the environment of {name} cannot be made: {error}")
    print(json.dumps(made) if wanted.json else "\n".join(f"{name}: {path}" for name, path in made.items()))


if __name__ == "__main__":
    main()
