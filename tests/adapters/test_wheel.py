"""What ``pip install ztfm`` brings: the SDK, and neither a server nor torch."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SDK = (
    "adapters.client",
    "adapters.credentials",
    "adapters.enrol",
    "adapters.fleet",
    "adapters.errors",
    "adapters.member",
    "adapters.mutual",
    "adapters.revocations",
    "adapters.svid",
    "adapters.web",
    "adapters.web.aiohttp",
    "adapters.web.asgi",
)
SERVER = ("controlplane.api", "controlplane.app", "controlplane.storage", "controlplane.decisions", "controlplane.cli")

CHECK = """
import importlib, json, sys

given = json.loads(sys.stdin.read())
sys.path.append(given["borrowed"])

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in given["blocked"]:
            raise ImportError(f"{name} is no dependency of the base install")

sys.meta_path.insert(0, Blocked())
for name in given["imported"]:
    module = importlib.import_module(name)
    assert given["home"] in module.__file__, module.__file__
loaded = [name for name in given["unwanted"] if name in sys.modules]
assert not loaded, loaded
"""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(stated: list[str]) -> Iterator[str]:
    """Yield the names of what is needed without any extra."""
    for item in stated:
        if "extra ==" not in item:
            yield plain(re.split(r"[\[><=!~; (]", item)[0])


def closure(stated: list[str]) -> set[str]:
    """Return every distribution that is needed, directly or not."""
    found: set[str] = set()
    waiting = set(wanted(stated))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            waiting |= set(wanted(requires(name) or []))
        except PackageNotFoundError:
            continue
        found.add(name)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [built] = folder.glob("*.whl")
    return built


def stated_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist", [])


def test_the_base_install_needs_few_things_and_none_of_a_server_or_torch(wheel: Path) -> None:
    needed = closure(stated_in(wheel))
    assert needed >= {"aiohttp", "cryptography", "pydantic"}
    assert not needed & {"torch", "numpy", "sqlalchemy", "uvloop", "orjson", "typer", "prometheus-client", "starlette"}


def test_the_sdk_is_imported_from_the_wheel_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True, timeout=60)
    python = tmp_path / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True, timeout=120)
    needed = closure(stated_in(wheel))
    blocked = [
        module
        for module, owners in packages_distributions().items()
        if module not in ("adapters", "controlplane") and not {plain(owner) for owner in owners} & needed
    ]
    assert "torch" in blocked
    given = {
        "blocked": blocked,
        "borrowed": str(Path(pytest.__file__).parents[1]),
        "home": str(tmp_path),
        "imported": SDK,
        "unwanted": SERVER,
    }
    result = subprocess.run(
        [str(python), "-c", CHECK], input=json.dumps(given), text=True, capture_output=True, timeout=60, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
