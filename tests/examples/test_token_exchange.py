"""The example for other languages runs as it stands, at a real control plane."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support import ControlPlane, running

ROOT = Path(__file__).resolve().parents[2]


def toured(plane: ControlPlane, folder: Path) -> dict[str, object]:
    file = folder / "token.txt"
    file.write_text(plane.token(["consumer"], "homes") + "\n")
    command = [sys.executable, "-W", "error", "-m", "examples.token_exchange", "--url", plane.url, "--token", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def expected(found: dict[str, object]) -> None:
    assert {name: found[name] for name in found if name not in {"enrolled", "granted"}} == {
        "active": True,
        "given back": 200,
        "active after that": False,
        "scope of the access token": "ztfm:api",
        "decision": "allow",
    }


def test_it_runs_to_its_end(plane: ControlPlane, tmp_path: Path) -> None:
    expected(toured(plane, tmp_path))


def test_it_copes_with_a_server_that_always_wants_a_nonce(tmp_path: Path) -> None:
    with running(dpop_nonce="always") as plane:
        expected(toured(plane, tmp_path))


def test_it_knows_none_of_our_code() -> None:
    source = (ROOT / "examples" / "token_exchange.py").read_text()
    assert "controlplane" not in source.replace("control plane", "")
    assert "adapters" not in source
