"""A Mosquitto broker for tests: found, or installed on a bare Debian machine; started with its own certificates.

`python -m tests.servers.mosquitto` prints where it is, or why there is none.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.mqtt.broker import BrokerMissing, find_broker
from adapters.mqtt.lab import LabBroker, lab_broker
from tests.servers.debian import NotInstalled, alone, apt, can_install
from tests.servers.ports import free_port

_INSTALL_SECONDS = 240.0


def ensure_broker() -> Path:
    """Return Mosquitto; as root on Debian it is installed first when it is missing.

    Raises:
        BrokerMissing: there is none and it cannot be installed.
    """
    try:
        return find_broker()[0]
    except BrokerMissing as missing:
        if not can_install():
            raise BrokerMissing(f"{missing}; as root on Debian it is installed by itself") from None
    deadline = time.monotonic() + _INSTALL_SECONDS
    try:
        with alone(deadline):
            try:
                return find_broker()[0]
            except BrokerMissing:
                apt(deadline, "update")
                apt(deadline, "install", "mosquitto")
                return find_broker()[0]
    except NotInstalled as error:
        raise BrokerMissing(str(error)) from None


@contextmanager
def mosquitto(keeper: str, clients: str, *, payload_bytes: int = 1024 * 1024) -> Iterator[LabBroker]:
    """A new broker, in a folder of its own; both are gone afterwards.

    Args:
        keeper: name of the enrolled gateway that keeps its topics.
        clients: PEM of the authority that signs the clients' certificates.
        payload_bytes: of one message.

    Raises:
        BrokerMissing: there is none here.
    """
    ensure_broker()
    with lab_broker(keeper, clients, free_port(), payload_bytes=payload_bytes) as broker:
        yield broker


if __name__ == "__main__":
    try:
        print(ensure_broker())
    except BrokerMissing as missing:
        sys.exit(str(missing))
