"""TPMs in software, by `swtpm`, for tests and for a lab: they protect nothing from whoever runs them.

A maker of one's own certifies their endorsement keys. Who trusts its root says so by the anchor's name: software.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.attesting.interface import CannotAttest

PROGRAMS = ("swtpm", "swtpm_setup", "swtpm_localca")

_NEEDED = "apt-get install swtpm swtpm-tools (Debian 12)"
_SETUP_SECONDS = 60.0
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_TRIES = 8
_LOOKS = 100
_YEARS = timedelta(days=3650)


@dataclass(frozen=True)
class SoftwareTpm:
    """One that runs.

    Attributes:
        tcti: how it is reached.
        folder: where its state is; with that, whoever has it has its keys.
    """

    tcti: str
    folder: Path


def find_programs() -> None:
    """Make sure that swtpm is installed.

    Raises:
        CannotAttest: it is not.
    """
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise CannotAttest(f"there is no {missing[0]} here: {_NEEDED}")


class SoftwareMaker:
    """Makes software TPMs, and certifies their endorsement keys.

    Args:
        folder: an empty one, for its key and its configuration.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        key = rsa.generate_private_key(65537, 2048)
        self.root = _root(key)
        """Its root, to be trusted as an anchor of software."""
        signing = folder / "signing-key.pem"
        signing.touch(mode=0o600)
        signing.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "root.pem").write_bytes(self.root.public_bytes(Encoding.PEM))
        certifying = {"statedir": folder, "signingkey": signing, "issuercert": folder / "root.pem"}
        certifying["certserial"] = folder / "serial"
        _write(folder / "localca.conf", certifying)
        (folder / "localca.options").write_text(
            "--platform-manufacturer ztfm\n--platform-model software\n--platform-version 1\n"
        )

    def make(self, folder: Path) -> None:
        """Make a TPM in an empty folder, with certified endorsement keys: one on P-384, one of RSA with 2048 bits.

        Args:
            folder: made where it is missing.

        Raises:
            CannotAttest: swtpm is not installed, or fails.
        """
        find_programs()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(
            self._folder / "setup.conf",
            {
                "create_certs_tool": shutil.which("swtpm_localca"),
                "create_certs_tool_config": self._folder / "localca.conf",
                "create_certs_tool_options": self._folder / "localca.options",
                "active_pcr_banks": "sha256,sha384",
            },
        )
        command = ["swtpm_setup", "--tpm2", "--tpmstate", str(folder), "--create-ek-cert"]
        command += ["--config", str(self._folder / "setup.conf"), "--not-overwrite"]
        try:
            done = subprocess.run(  # noqa: S603 - swtpm's own program, no shell
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SETUP_SECONDS, check=False, text=True
            )
        except subprocess.TimeoutExpired:
            raise CannotAttest(f"swtpm_setup takes more than {_SETUP_SECONDS:g} s") from None
        if done.returncode:
            raise CannotAttest(f"swtpm_setup failed:\n{(done.stdout + done.stderr)[-800:]}")


@contextmanager
def running(folder: Path, choose: Callable[[], int] | None = None) -> Iterator[SoftwareTpm]:
    """Run the TPM of a folder on loopback for as long as the block lasts. Each time, its registers begin anew.

    Args:
        folder: that `SoftwareMaker.make` filled.
        choose: a port that is free; the next one is taken, too.

    Raises:
        CannotAttest: there is no swtpm, or it does not start.
    """
    find_programs()
    for _ in range(_TRIES):
        port = (choose or _any_port)()
        process = _start(folder, port)
        if process is not None:
            break
    else:
        raise CannotAttest(f"swtpm does not start with {folder}:\n{_tail(folder)}")
    try:
        yield SoftwareTpm(f"swtpm:host=127.0.0.1,port={port}", folder)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(folder: Path, port: int) -> "subprocess.Popen[bytes] | None":
    """A process that listens on a port and on the next, as the TSS wants it; none where one of them is taken."""
    ours = folder / "pid"
    ours.unlink(missing_ok=True)
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear"]
    command += ["--server", f"type=tcp,port={port},bindaddr=127.0.0.1"]
    command += ["--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1", "--pid", f"file={ours}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - swtpm's own program, no shell
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        # It writes this once both ports are its own; another one that answers there would be another TPM.
        if ours.exists() and ours.read_text().strip() == str(process.pid):
            return process
        time.sleep(0.01)
    if process.poll() is None:
        process.kill()
        process.wait()
    return None


def _any_port() -> int:
    """An even port that is free, with a free one after it: so no two TPMs that start at once share one of them."""
    for _ in range(_LOOKS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1]) & ~1
        if all(_is_free(one) for one in (port, port + 1)):
            return port
    raise CannotAttest("there are no two free ports beside each other on loopback")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _tail(folder: Path) -> str:
    log = folder / "log"
    return log.read_text(errors="replace")[-800:] if log.exists() else ""


def _write(path: Path, settings: Mapping[str, object]) -> None:
    path.write_text(
        "".join(
            f"{name} = {os.fspath(value) if isinstance(value, Path) else value}\n" for name, value in settings.items()
        )
    )


def _root(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ztfm software TPMs")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
