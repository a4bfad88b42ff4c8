"""A broker of one's own with a certificate of its own, for a test or a lab. Elsewhere, bring what devices trust."""

import datetime
import ipaddress
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapters.mqtt.broker import BrokerSettings, Certificates, RunningBroker, running_broker, write_broker
from adapters.mqtt.connecting import Address

_DAYS = 30
_NOBODY = 65534


@dataclass(frozen=True)
class LabBroker:
    """A broker that runs.

    Attributes:
        address: where it listens.
        authority: PEM file of the authority that its certificate leads to.
        process: to stop it, and start it again.
    """

    address: Address
    authority: Path
    process: RunningBroker


@contextmanager
def lab_broker(keeper: str, clients: str, port: int, *, payload_bytes: int) -> Iterator[LabBroker]:
    """Run a broker on this machine for as long as the block lasts, in a folder that is gone afterwards.

    Args:
        keeper: name of the enrolled gateway that keeps its topics.
        clients: PEM of the authority that signs the clients' certificates.
        port: free.
        payload_bytes: of one message.

    Raises:
        BrokerMissing: there is none here, or it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="ztfm-mosquitto-"))
    try:
        certificates, authority = lab_certificates(folder, ["127.0.0.1"], clients)
        settings = BrokerSettings(keeper, certificates, port=port, payload_bytes=payload_bytes)
        configured = write_broker(settings, folder)
        owner = None
        if os.geteuid() == 0:
            # Mosquitto gives up being root; what it reads has to be its own then.
            owner = (_NOBODY, _NOBODY)
            for path in (folder, *folder.iterdir()):
                os.chown(path, *owner)
        with running_broker(configured, owner=owner) as process:
            yield LabBroker(Address("127.0.0.1", port), authority, process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lab_certificates(folder: Path, hosts: Sequence[str], clients: str) -> tuple[Certificates, Path]:
    """Write a certificate for a broker at these addresses into a folder, signed by itself.

    Args:
        folder: there already.
        hosts: names or addresses of the broker, the first one its own.
        clients: PEM of the authority that signs the clients' certificates (`IssuedCertificate.authority`).

    Returns:
        The broker's files, and the file of the authority that clients trust: the same certificate.

    Raises:
        OSError: the folder cannot be written.
    """
    key = generate_private_key(SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    server, server_key, authority = folder / "server.pem", folder / "server-key.pem", folder / "clients.pem"
    server.write_bytes(certificate.public_bytes(Encoding.PEM))
    server_key.touch(mode=0o600)
    server_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    authority.write_text(clients)
    return Certificates(server, server_key, authority), server


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
