"""The services of docker-compose.yml as processes: their own commands and environments, paths and ports replaced."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.servers.debian import NotInstalled, alone, apt, can_install
from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
_INSTALL_SECONDS = 240.0


class StackMissing(Exception):  # noqa: N818 - a state, as tests see it
    """Something that the images bring is not here; the message says what."""


def services() -> dict[str, dict[str, Any]]:
    """Return the services as compose reads them, merges resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def busybox() -> Path:
    """Return busybox, which the sidecar's image is made of; as root on Debian it is installed when it is missing.

    Raises:
        StackMissing: there is none.
    """
    found = shutil.which("busybox")
    if found is None:
        if not can_install():
            raise StackMissing("busybox is not installed; as root on Debian it is installed by itself")
        deadline = time.monotonic() + _INSTALL_SECONDS
        try:
            with alone(deadline):
                apt(deadline, "update")
                apt(deadline, "install", "busybox-static")
        except NotInstalled as error:
            raise StackMissing(str(error)) from None
        found = shutil.which("busybox")
    if found is None:
        raise StackMissing("Debian's package busybox-static was installed, but brought no busybox")
    return Path(found)


@dataclass
class Stack:
    """The stack in a folder with a short path, for its sockets."""

    folder: Path
    policies: Path
    opa: Path
    port: int = field(default_factory=free_port)
    publisher_port: int = field(default_factory=free_port)
    diagnostic_port: int = field(default_factory=free_port)
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def install(self) -> None:
        """Put what the images bring onto the path: ztfm, opa, and busybox's httpd and wget.

        Raises:
            StackMissing: some of it is not here.
        """
        programs = {
            "opa": self.opa,
            "httpd": busybox(),
            "wget": busybox(),
            "ztfm": Path(sys.executable).with_name("ztfm"),
            "python": Path(sys.executable),
        }
        (self.folder / "bin").mkdir()
        # A volume is there before its first service.
        (self.folder / "run-bundles").mkdir()
        for name, program in programs.items():
            (self.folder / "bin" / name).symlink_to(program)

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        """Run a one-shot service to its end."""
        return subprocess.run(
            self.command(service),
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, service: str) -> None:
        """Start a service that stays."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self.started[service] = subprocess.Popen(
                self.command(service),
                env=self.environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End every started service with all that it started."""
        for process in reversed(self.started.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def kill(self, service: str) -> None:
        """End a service as the kernel would, with all that it started."""
        os.killpg(self.started[service].pid, signal.SIGKILL)
        self.started[service].wait()

    def is_healthy(self, service: str) -> bool:
        """Run a service's own health check, once."""
        test = [self._here(word) for word in services()[service]["healthcheck"]["test"][1:]]
        test[0] = str(self.folder / "bin" / test[0])
        result = subprocess.run(test, env=self.environment(service), capture_output=True, timeout=10, check=False)
        return result.returncode == 0

    def wait_healthy(self, service: str, seconds: float = 30.0) -> None:
        """Return once a service is healthy; fail with its log when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not self.is_healthy(service):
            log = (self.folder / f"{service}.log").read_text()[-2000:]
            assert self.started[service].poll() is None, f"{service} ended:\n{log}"
            assert time.monotonic() < deadline, f"{service} is not healthy after {seconds} s:\n{log}"
            time.sleep(0.1)

    def command(self, service: str) -> list[str]:
        """Return the image's entry point with the service's command."""
        entry = [str(ROOT / "opa" / "start.sh")] if service == "opa" else [str(self.folder / "bin" / "ztfm")]
        extra = [f"--publisher-url=http://127.0.0.1:{self.publisher_port}"] if service == "prepare" else []
        return [*entry, *(self._here(word) for word in services()[service]["command"]), *extra]

    def environment(self, service: str) -> Mapping[str, str]:
        """Return the service's environment, and nothing of this process's but the path to system programs."""
        stated = services()[service]["environment"]
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "ZTFM_OPA_PUBLISHER_PORT": str(self.publisher_port),
            **{name: self._here(_default(str(value))) for name, value in stated.items()},
        }

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask the control plane."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _here(self, word: str) -> str:
        replacements = {
            "/run/ztfm": str(self.folder / "run"),
            "/var/lib/ztfm": str(self.folder / "state"),
            "/etc/ztfm": str(ROOT / "opa"),
            "/policies": str(self.policies),
            "127.0.0.1:8282": f"127.0.0.1:{self.diagnostic_port}",
            "127.0.0.1:8181": f"127.0.0.1:{self.port}",
            "0.0.0.0": "127.0.0.1",
        }
        if word == "8181":
            return str(self.port)
        for there, here in replacements.items():
            word = word.replace(there, here)
        return word


def _default(value: str) -> str:
    """Interpolate ``${NAME:-default}`` as compose does where the variable is not set."""
    if value.startswith("${") and ":-" in value:
        return value[2:-1].split(":-", 1)[1]
    return value
