"""Hosts and routers for tests: network namespaces of this process, joined by links, through which real packets go.

A namespace is held by a thread of this process and has no name: nothing outside sees it, two runs side by side share
nothing, and it is gone with the process at the latest. `python -m tests.servers.namespaces` says whether they can be
had here, or why not.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from tests.servers.debian import NotInstalled, alone, apt, can_install

_CLONE_NEWNET = 0x40000000
_INSTALL_SECONDS = 240.0
_PACKAGES = {"ip": "iproute2", "nft": "nftables"}
T = TypeVar("T")
_LIBC = ctypes.CDLL(None, use_errno=True)


class NoNamespaces(Exception):  # noqa: N818 - a state, as callers see it
    """Network namespaces with nftables cannot be had here; the message says why."""


class Node:
    """One network namespace: a host, or a router.

    Args:
        name: for messages.

    Raises:
        NoNamespaces: the kernel gives none.

    Attributes:
        address: of its first link; none before it has one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.address: str | None = None
        self._inside = ThreadPoolExecutor(1, thread_name_prefix=f"netns-{name}")
        self._links = 0
        try:
            self._descriptor = self.call(_own_namespace)
        except OSError as error:
            self._inside.shutdown()
            raise NoNamespaces(f"a network namespace was refused: {error.strerror}; run as root") from None
        self.run("ip", "link", "set", "lo", "up")
        # An address that is still being checked for duplicates sends nothing for a second or two.
        self.settings(ipv6__conf__default__accept_dad=0, ipv6__conf__default__dad_transmits=0)

    def call(self, action: Callable[..., T], *arguments: Any) -> T:
        """Run a function inside and return its answer; sockets that it makes stay inside, wherever they are used."""
        return self._inside.submit(action, *arguments).result()

    def run(self, *words: str, given: str | None = None) -> str:
        """Run a command inside and return what it printed.

        Raises:
            RuntimeError: it failed; the message has what it said.
        """
        found = self.call(
            lambda: subprocess.run(words, input=given, capture_output=True, text=True, timeout=30, check=False)
        )
        if found.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: {found.stderr.strip()}")
        return found.stdout

    def begin(self, words: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process inside."""
        return self.call(lambda: subprocess.Popen(words, **options))

    def plug(self, kind: socket.SocketKind = socket.SOCK_STREAM, *, family: int = socket.AF_INET) -> socket.socket:
        """Return a socket of this namespace."""
        return self.call(lambda: socket.socket(family, kind))

    def listen(
        self, port: int, kind: socket.SocketKind = socket.SOCK_STREAM, *, at: str | None = None
    ) -> socket.socket:
        """Return a socket that listens at a port of this namespace, for both TCP and UDP."""
        address = at or "0.0.0.0"
        listening = self.plug(kind, family=_family(address))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        if kind is socket.SOCK_STREAM:
            listening.listen(4096)
        return listening

    def connect(self, address: str, port: int, *, seconds: float = 2.0) -> socket.socket:
        """Return a TCP connection from here.

        Raises:
            OSError: none could be made in time.
        """
        made = self.plug(family=_family(address))
        try:
            made.settimeout(seconds)
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    def reaches(self, address: str, port: int, *, seconds: float = 0.3) -> bool:
        """Return whether a TCP connection comes about, in a time that leaves no room for a second try of the kernel."""
        try:
            self.connect(address, port, seconds=seconds).close()
        except OSError:
            return False
        return True

    def settings(self, **values: int) -> None:
        """Set kernel parameters below ``net``, with ``__`` for each slash."""

        def _write() -> None:
            for name, value in values.items():
                Path("/proc/sys/net", *name.split("__")).write_text(str(value))

        self.call(_write)

    def join(self, other: "Node", here: str, there: str) -> None:
        """Lay a link to another node: a wire of its own with two ends, each with an address and a route to the other.

        Args:
            other: at the far end.
            here: address of this end.
            there: address of the far end; all that node sends goes over its first link.
        """
        near, far = f"to{self._links}", f"up{other._links}"
        path = f"/proc/{os.getpid()}/fd/{other._descriptor}"
        self.run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", path)
        self.run("ip", "link", "set", near, "up")
        other.run("ip", "link", "set", far, "up")
        self._address(near, here, there)
        other._address(far, there, here)
        if not other._links:
            other.route("default", far, here)
        self._links, other._links = self._links + 1, other._links + 1
        self.address, other.address = self.address or here, other.address or there

    def also(self, other: "Node", link: int, here: str, there: str) -> None:
        """Give both ends of a link that was laid a second pair of addresses, such as those of the other family."""
        self._address(f"to{link}", here, there)
        other._address("up0", there, here)
        other.route("default", "up0", here)

    def route(self, destination: str, device: str, through: str) -> None:
        """Send packets for a destination to a neighbour."""
        family = "-6" if ":" in through else "-4"
        # On the link, whether or not the kernel has noticed yet that the link is up.
        self.run("ip", family, "route", "replace", destination, "via", through, "dev", device, "onlink")

    def _address(self, device: str, own: str, peer: str) -> None:
        self.run("ip", "address", "add", own, "peer", f"{peer}/{ip_address(own).max_prefixlen}", "dev", device)

    def close(self) -> None:
        """Give the namespace back: it goes, with its links, once nothing inside runs."""
        os.close(self._descriptor)
        self._inside.shutdown()


def _own_namespace() -> int:
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def nodes(*names: str) -> Iterator[list[Node]]:
    """Namespaces that are gone afterwards, in order.

    Raises:
        NoNamespaces: they cannot be had here.
    """
    ensure_namespaces()
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Node(name))) for name in names]


def ensure_namespaces() -> None:
    """Return when namespaces and nftables can be had; as root on Debian the tools are installed first.

    Raises:
        NoNamespaces: they cannot.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise NoNamespaces("network namespaces need Linux and root")
    if _missing():
        _install()
    probe = Node("probe")
    try:
        probe.run("nft", "add table inet probe")
    except RuntimeError as error:
        raise NoNamespaces(f"the kernel has no nftables: {error}") from None
    finally:
        probe.close()


def _missing() -> list[str]:
    return [package for tool, package in _PACKAGES.items() if shutil.which(tool) is None]


def _install() -> None:
    if not can_install():
        needed = ", ".join(_missing())
        raise NoNamespaces(f"not installed: {needed}; as root on Debian they are installed by themselves")
    deadline = time.monotonic() + _INSTALL_SECONDS
    try:
        with alone(deadline):
            if lacking := _missing():
                apt(deadline, "update")
                apt(deadline, "install", *lacking)
    except NotInstalled as error:
        raise NoNamespaces(str(error)) from None


if __name__ == "__main__":
    try:
        ensure_namespaces()
        print("network namespaces with nftables")
    except NoNamespaces as missing:
        sys.exit(str(missing))
