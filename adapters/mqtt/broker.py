"""A Mosquitto that holds topics as policy says: its configuration, and one of one's own for a test or a lab."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.mqtt.dynamic import CONTROL, RESPONSE

CONFIGURATION = "mosquitto.conf"
TOPICS = "dynamic-security.json"

_PLUGIN = "mosquitto_dynamic_security.so"
_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_ROOM_BYTES = 64 * 1024
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_LOG_LINES = 15


class BrokerMissing(Exception):  # noqa: N818 - a state, as callers see it
    """There is no Mosquitto with its plugin here, or it does not start; the message says what to do."""


@dataclass(frozen=True)
class Certificates:
    """What a broker shows, and whom it believes.

    Attributes:
        server: PEM file of its certificate.
        server_key: PEM file of its key.
        clients: PEM file of the authority that signs the clients' certificates: the control plane's.
    """

    server: Path
    server_key: Path
    clients: Path


@dataclass(frozen=True)
class BrokerSettings:
    """How a broker is set up.

    Attributes:
        keeper: name of the enrolled gateway that says who may use which topic.
        certificates: for its TLS.
        host: where it listens.
        port: the same.
        payload_bytes: of one message.
        inflight: messages to one client that are not acknowledged yet.
        queued: messages that are kept for a client that is away.
        queued_bytes: of these.
        plugin: path of the plugin; none looks where packages put it.
        user: the account that it runs as when it is started by root; none for the package's own.
    """

    keeper: str
    certificates: Certificates
    host: str = "127.0.0.1"
    port: int = 8883
    payload_bytes: int = 64 * 1024 * 1024
    inflight: int = 8
    queued: int = 64
    queued_bytes: int = 128 * 1024 * 1024
    plugin: Path | None = None
    user: str | None = None


def find_broker() -> tuple[Path, Path]:
    """Return where Mosquitto and its plugin for dynamic security are.

    Raises:
        BrokerMissing: one of them is not there.
    """
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    plugins = [path for place in _PLACES for path in sorted(Path(place).glob(f"**/{_PLUGIN}"))]
    if found is None or not plugins:
        raise BrokerMissing(
            "Mosquitto 2 with mosquitto_dynamic_security.so is not installed: apt-get install mosquitto (Debian 12)"
        )
    return Path(found), plugins[0]


def configuration(settings: BrokerSettings, folder: Path) -> str:
    """Return the text of ``mosquitto.conf``.

    Args:
        settings: what it says.
        folder: where `topics` are.

    Raises:
        BrokerMissing: the plugin is not there, and none is named.
    """
    plugin = settings.plugin or find_broker()[1]
    certificates = settings.certificates
    lines = [
        f"listener {settings.port} {settings.host}",
        f"certfile {certificates.server}",
        f"keyfile {certificates.server_key}",
        f"cafile {certificates.clients}",
        "tls_version tlsv1.3",
        "require_certificate true",
        "use_identity_as_username true",
        "# Nobody can take another's session.",
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"plugin {plugin}",
        f"plugin_opt_config_file {folder / TOPICS}",
        f"max_packet_size {settings.payload_bytes + _ROOM_BYTES}",
        f"max_inflight_messages {settings.inflight}",
        f"max_queued_messages {settings.queued}",
        f"max_queued_bytes {settings.queued_bytes}",
        "max_keepalive 120",
        "persistent_client_expiration 1d",
        "# Weights and updates stay in memory.",
        "persistence false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_type information",
        "connection_messages false",
        *([] if settings.user is None else [f"user {settings.user}"]),
    ]
    return "\n".join(lines) + "\n"


def topics(keeper: str) -> dict[str, Any]:
    """Return what the plugin begins with: the keeper says who may use which topic, and nobody may use any."""
    role = "ztfm-keeper"
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [{"username": keeper, "textname": "keeps topics as policy says", "roles": [{"rolename": role}]}],
        "roles": [
            {
                "rolename": role,
                "acls": [
                    {"acltype": "publishClientSend", "topic": CONTROL, "allow": True},
                    {"acltype": "publishClientReceive", "topic": RESPONSE, "allow": True},
                    {"acltype": "subscribeLiteral", "topic": RESPONSE, "allow": True},
                ],
            }
        ],
    }


def write_broker(settings: BrokerSettings, folder: Path) -> Path:
    """Write ``mosquitto.conf`` and what the plugin begins with into a folder; return the former.

    Raises:
        BrokerMissing: the plugin is not there, and none is named.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / CONFIGURATION
    written.write_text(configuration(settings, folder))
    begins = folder / TOPICS
    begins.touch(mode=0o600)
    begins.write_text(json.dumps(topics(settings.keeper), indent=2))
    return written


@contextmanager
def running_broker(configured: Path, *, owner: tuple[int, int] | None = None) -> Iterator["RunningBroker"]:
    """Run a broker for as long as the block lasts.

    Args:
        configured: its ``mosquitto.conf``.
        owner: user and group that it runs as; none for the caller's own.

    Raises:
        BrokerMissing: there is none, or it does not start.
    """
    broker = RunningBroker(configured, owner)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class RunningBroker:
    """A broker as a child process, that can be stopped and started again.

    Args:
        configured: its ``mosquitto.conf``.
        owner: user and group that it runs as; none for the caller's own.
    """

    def __init__(self, configured: Path, owner: tuple[int, int] | None = None) -> None:
        self._configured = configured
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None
        self._log = configured.with_name("mosquitto.log")

    def start(self) -> None:
        """Start it, and return once it listens.

        Raises:
            BrokerMissing: there is none, or it does not start.
        """
        program, _ = find_broker()
        whose: dict[str, Any] = {}
        if self._owner is not None:
            whose = {"user": self._owner[0], "group": self._owner[1], "extra_groups": []}
        begin = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the broker's own program, no shell
                [str(program), "-c", str(self._configured)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._configured.parent,
                **whose,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if b" running" in self._log.read_bytes()[begin:]:
                return
            time.sleep(0.02)
        self.stop()
        raise BrokerMissing(f"Mosquitto does not start with {self._configured}:\n{self.tail()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; ``SIGKILL`` as a power cut would."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tail(self) -> str:
        """Return the last lines of its log."""
        lines: Sequence[str] = self._log.read_text(errors="replace").splitlines() if self._log.exists() else ()
        return "\n".join(lines[-_LOG_LINES:])
