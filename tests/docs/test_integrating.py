"""docs/integrating.md takes a reader from nothing to a guarded endpoint: its commands run as they stand."""

import json
import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest

from adapters.web.remedies import REMEDIES
from tests.servers.ports import free_port
from tests.support import ControlPlane, running

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "integrating.md").read_text()
SECTION = PAGE.partition("## Guard an endpoint")[2].partition("\n## ")[0]


@contextmanager
def reader(plane: ControlPlane, folder: Path) -> Iterator["Reader"]:
    """Somebody who types what the page says, in a folder of their own, with this control plane for ``make serve``."""
    found = Reader(plane, folder)
    try:
        yield found
    finally:
        for process in found.started:
            process.terminate()
            process.wait(20)


class Reader:
    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.started: list[subprocess.Popen[str]] = []
        self._folder = folder
        self._places = {
            "http://127.0.0.1:8181": plane.url,
            "127.0.0.1:8080": f"127.0.0.1:{free_port()}",
            ".venv/bin/": f"{shlex.quote(str(ROOT / '.venv' / 'bin'))}/",
        }
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "ZTFM_STATE_DIR": str(plane.state)}

    def type(self, command: str) -> str:
        for written, place in self._places.items():
            command = command.replace(written, place)
        if command.endswith("&"):
            started = subprocess.Popen(
                shlex.split(command.removesuffix("&")),
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                text=True,
            )
            self.started.append(started)
            self._wait_for(int(self._places["127.0.0.1:8080"].rpartition(":")[2]))
            return ""
        result = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", command],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, (command, result.stderr)
        return result.stdout

    @staticmethod
    def _wait_for(port: int) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the guarded endpoint does not listen")


def commands() -> list[str]:
    """Return the commands of the page's first section, in order; one that goes on in the next line is one."""
    blocks = re.findall(r"^```sh\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_each_command_from_nothing_to_a_guarded_endpoint_does_what_the_page_says(tmp_path: Path) -> None:
    serve, gateway, device, guarded, calling, curl = commands()
    assert serve == "make serve", "the control plane of this test stands for it; tests/controlplane/cli runs it"
    with running() as plane, reader(plane, tmp_path) as someone:
        assert someone.type(gateway).startswith("dev-")
        assert someone.type(device).startswith("dev-")
        someone.type(guarded)
        answers = someone.type(calling).splitlines()
        assert len(answers) == 2
        assert all("light_on" in answer for answer in answers)
        refused = someone.type(curl)
        assert refused.startswith("HTTP/1.1 401")
        assert 'WWW-Authenticate: DPoP algs="ES256"' in refused
    assert (tmp_path / "keys" / "device" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_the_three_lines_stand_as_they_are(tmp_path: Path) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    with running() as plane, reader(plane, tmp_path) as someone:
        someone.type(commands()[1])
        (tmp_path / "three_lines.py").write_text(block)
        someone.type(".venv/bin/python -W error three_lines.py")


def test_every_class_of_the_family_is_in_the_table() -> None:
    from adapters import errors

    table = PAGE.partition("of one family")[2].partition("**Times.**")[0]
    root = errors.ControlPlaneError
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and kind is not root}
    family = {name for name, kind in kinds.items() if issubclass(kind, root)}
    assert {name for name in family if f"`{name}`" not in table} == set()
    assert all(f"`{name}`" in (errors.__doc__ or "") for name in family)


def test_a_model_of_ones_own_is_one_that_policies_take() -> None:
    section = PAGE.partition("## Your own model")[2].partition("\n## ")[0]
    [block] = re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    folder = ROOT / "policies" / "data" / "resources"
    schema = json.loads((folder / "resources.schema.json").read_text())
    added = json.loads(block)
    assert not added.keys() & json.loads((folder / "data.json").read_text()).keys()
    jsonschema.validate(added, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({name: {**model, "kind": "dataset"} for name, model in added.items()}, schema)


def test_the_page_and_the_log_of_an_enforcement_point_say_the_same_of_each_cause() -> None:
    page = (ROOT / "docs" / "problems.md").read_text().partition("## What an enforcement point logs")[2]
    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE) == list(REMEDIES.items())
