"""Where the edge listens: TCP, TLS with optional client certificates, and a Unix socket."""

import os
import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

LISTEN_BACKLOG = 1024


class ListenError(Exception):
    """A listener cannot be made; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Listener:
    """A socket that takes connections.

    Attributes:
        socket: bound.
        tls: speaks TLS on it; none for plain HTTP.
        path: of a Unix socket, removed with the listener.
    """

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    path: Path | None = None


def listen_tcp(host: str, port: int, tls: ssl.SSLContext | None = None) -> Listener:
    """Return a listener at an address.

    Raises:
        OSError: the address is taken, or is not ours.
    """
    return Listener(socket.create_server((host, port), family=_family(host), backlog=LISTEN_BACKLOG), tls)


def bind_together(host: str, port: int, tls: ssl.SSLContext | None = None) -> Listener:
    """Return a listener at an address that other processes of our user may listen at too; it does not listen yet.

    The kernel deals connections out among those that listen.

    Raises:
        OSError: the address is taken by one that shares it with nobody, or is not ours.
    """
    found = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if found.family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind((host, port))
    except BaseException:
        found.close()
        raise
    return Listener(found, tls)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def listen_unix(path: Path, mode: int) -> Listener:
    """Return a listener at a Unix socket that only ``mode`` (such as 0o600) lets others reach.

    A socket that a control plane left behind is replaced; one that is answered, and what is no socket, is not.

    Raises:
        ListenError: the path is taken.
        OSError: the folder cannot be written, or the path is too long for a socket.
    """
    _clear(path)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the file the mode that the socket has, so it is never open wider, not even for a moment.
        os.fchmod(found.fileno(), mode)
        found.bind(str(path))
        path.chmod(mode)
        found.listen(LISTEN_BACKLOG)
    except BaseException:
        found.close()
        raise
    return Listener(found, path=path)


def _clear(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ListenError(f"{path} is no socket; choose another path with ZTFM_LISTEN_SOCKET")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        else:
            raise ListenError(f"{path} is answered already: another control plane runs; choose another path")


def server_context(
    certificate: Path, key: Path, client_authorities: str, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """Return how TLS is served: with our certificate, and asking clients for theirs, which they may leave out.

    No session is resumed: every connection proves its key anew.

    Args:
        certificate: PEM file with the server's certificate and what leads to its authority.
        key: PEM file with its private key.
        client_authorities: PEM text of the authorities whose client certificates are verified.
        minimum: TLS 1.3, or 1.2 for clients that know no better.

    Raises:
        ListenError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=client_authorities)
    except (OSError, ValueError) as error:
        raise ListenError(f"the authorities of client certificates cannot be used: {error}") from None
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have ``context`` show a certificate on connections from now on, or go on with the one before.

    Raises:
        ListenError: a file cannot be used.
    """
    try:
        # OpenSSL takes the certificate before it finds that the key is another's, and would be left without a key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise ListenError(f"TLS cannot be served with {certificate} and {key}: {error}") from None


def _no_password() -> str:
    # Without this, OpenSSL would ask on the terminal, and hang.
    raise ValueError("the private key is encrypted; give one that is not, in a private file")
