"""The commands and the example: a broker that is set up from a shell, a job from a shell, a device program."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import Tensor

from adapters.guard import Member
from adapters.mqtt import configure
from adapters.mqtt.__main__ import main
from adapters.mqtt.broker import BrokerMissing, BrokerSettings, Certificates, configuration, running_broker
from adapters.mqtt.client import MqttMember
from adapters.mqtt.connecting import Address
from tests.adapters.mqtt.jobs import taking_part
from tests.servers.mosquitto import ensure_broker
from tests.servers.ports import free_port
from tests.support import MODEL, ControlPlane

EXAMPLE = Path(__file__).parents[3] / "examples" / "mqtt"
_NOBODY = (65534, 65534)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account of a broker can read."""
    found = Path(tempfile.mkdtemp(prefix="ztfm-mqtt-"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


def enrolled(plane: ControlPlane, folder: Path, role: str, segment: str) -> Path:
    Member.enrol(folder, plane.url, plane.token([role], segment), roles=[role], segment=segment).close()
    return folder


def test_a_broker_a_job_and_a_device_from_a_shell(
    plane: ControlPlane,
    enrol: Callable[..., Member],
    state: dict[str, Tensor],
    tmp_path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        ensure_broker()
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    keeper, aggregator, device = (
        enrolled(plane, tmp_path / "keeper", "gateway", "core"),
        enrolled(plane, tmp_path / "aggregator", "aggregator", "core"),
        enrolled(plane, tmp_path / "device", "trainer", "homes"),
    )
    save_file(state, tmp_path / "initial.safetensors")
    port = free_port()
    set_up = [str(folder), "--keeper", str(keeper), "--listen", f"127.0.0.1:{port}", "--payload-bytes", "1048576"]
    assert configure.main([*set_up, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert configure.main(set_up) == 1
    assert "--again" in capsys.readouterr().err
    owner = _NOBODY if os.geteuid() == 0 else None
    for path in (folder, *folder.iterdir()) if owner else ():
        os.chown(path, *_NOBODY)
    authority = Path(made["authority"])
    given = {
        "keys": aggregator,
        "keeper": keeper,
        "broker": f"127.0.0.1:{port}",
        "authority": authority,
        "state": tmp_path / "job",
        "model": MODEL,
        "weights": tmp_path / "initial.safetensors",
        "rounds": 1,
        "least": 5,
        "gather": 0,
        "seconds": 60,
        "payload-bytes": 1_048_576,
    }
    command = [sys.executable, "-m", "adapters.mqtt", "--json", *(f"--{name}={value}" for name, value in given.items())]
    shown = [str(device), f"127.0.0.1:{port}", "--authority", str(authority), "--work", str(tmp_path / "work")]
    clients = [
        MqttMember.open(enrol("trainer"), Address("127.0.0.1", port), server_authority=authority) for _ in range(4)
    ]
    with (
        running_broker(Path(made["configuration"]), owner=owner),
        subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as job,
        subprocess.Popen([sys.executable, str(EXAMPLE / "device.py"), *shown], stdout=-1, text=True) as program,
    ):
        with taking_part(clients, tmp_path):
            printed, told = job.communicate(timeout=150)
        assert job.returncode == 0, told
        assert json.loads(printed)["rounds"][0]["accepted"] == 5, told
        assert program.communicate(timeout=60)[0].endswith("1 updates were sent\n")


def test_the_example_configuration_is_the_one_that_is_written() -> None:
    place = Path("/etc/mosquitto/ztfm")
    settings = BrokerSettings(
        "KEEPER",
        Certificates(place / "server.pem", place / "server-key.pem", place / "clients.pem"),
        host="0.0.0.0",
        plugin=Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"),
    )
    assert (EXAMPLE / "mosquitto.conf").read_text() == configuration(settings, place)


@pytest.mark.parametrize("command", [main, configure.main])
def test_the_help_has_an_example_and_json(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(["--help"])
    shown = capsys.readouterr().out
    assert "Example: python -m adapters.mqtt" in shown
    assert "--json" in shown


def test_a_job_without_an_aggregator_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"keys": tmp_path, "state": tmp_path / "job", "model": MODEL, "weights": tmp_path / "w"}
    assert main([f"--{name}={value}" for name, value in given.items()]) == 1
    assert "adapters.mqtt: error: " in capsys.readouterr().err
