"""Write the configuration of a broker: ``python -m adapters.mqtt.configure FOLDER --keeper KEYS ...``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.errors import ControlPlaneError
from adapters.jobs.commanding import read_address
from adapters.member import Member
from adapters.mqtt.bounds import MEBIBYTE
from adapters.mqtt.broker import TOPICS, BrokerMissing, BrokerSettings, Certificates, write_broker
from adapters.mqtt.lab import lab_certificates
from controlplane.capabilities.errors import KeyFileError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, and return the exit status: 0, or 1 with a message when it could not be done."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.certificate is None) != (given.key is None):
        parser.error("--certificate and --key go together; leave both out for a lab's")
    folder = given.folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / TOPICS).exists() and not given.again:
            raise FileExistsError(f"{folder / TOPICS} is there; --again has the broker forget who may use which topic")
        with Member.open(given.keeper) as keeper:
            clients = keeper.plane.certificate().authority
            name = keeper.id
        certificates, authority = _certificates(given, folder, clients)
        host, port = given.listen
        settings = BrokerSettings(
            name, certificates, host=host, port=port, payload_bytes=given.payload_bytes, plugin=given.plugin
        )
        written = write_broker(settings, folder)
    except (BrokerMissing, ControlPlaneError, KeyFileError, ValueError, OSError) as error:
        print(f"adapters.mqtt.configure: {error}", file=sys.stderr)
        return 1
    document = {"configuration": str(written), "keeper": name, "authority": str(authority)}
    print(json.dumps(document) if given.json else f"mosquitto -c {written}\n# devices trust {authority}")
    return 0


def _certificates(given: argparse.Namespace, folder: Path, clients: str) -> tuple[Certificates, Path]:
    if given.certificate is None:
        return lab_certificates(folder, [given.listen[0], *given.host], clients)
    authority = folder / "clients.pem"
    authority.write_text(clients)
    return Certificates(given.certificate.resolve(), given.key.resolve(), authority), given.certificate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.mqtt.configure",
        description="Write mosquitto.conf and what its dynamic security begins with: a keeper, and topics for nobody.",
        epilog="Example: python -m adapters.mqtt.configure broker --keeper keys/keeper --listen 127.0.0.1:8883",
    )
    parser.add_argument("folder", type=Path, help="for the files; the account that Mosquitto runs as has to own them")
    parser.add_argument("--keeper", type=Path, required=True, help="folder of the enrolled gateway that keeps topics")
    parser.add_argument("--listen", type=read_address, default=("127.0.0.1", 8883), metavar="HOST:PORT")
    parser.add_argument("--certificate", type=Path, help="PEM of the broker's certificate; else a lab's is made")
    parser.add_argument("--key", type=Path, help="PEM of its key")
    parser.add_argument(
        "--host", action="append", default=[], help="another name of the broker, for a lab's certificate"
    )
    parser.add_argument("--payload-bytes", type=int, default=64 * MEBIBYTE, help="of one message (67108864)")
    parser.add_argument("--plugin", type=Path, help="mosquitto_dynamic_security.so, where it is not found by itself")
    parser.add_argument("--again", action="store_true", help="begin anew where there is a configuration")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
