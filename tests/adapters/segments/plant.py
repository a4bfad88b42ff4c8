"""A plant on one machine: three segments, a router, the gateway, a model server and the aggregator, and real packets.

Every host has a wire of its own to the router, as on a switch that isolates its ports. On each, the ports 22 and 8443
are open to whoever reaches them, so that whatever a test finds closed was closed by the router.
"""

import errno
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from controlplane.contracts.segmentation import Cut, Grant, GrantTable, Service
from controlplane.segmentation.flows import Flow
from tests.servers.namespaces import Node, nodes

ADDRESSES = {
    "camera": "192.168.1.10",
    "camera-2": "192.168.1.11",
    "sensor": "192.168.2.10",
    "visitor": "10.30.3.10",
    "gateway": "10.10.0.20",
    "models": "10.10.0.30",
    "aggregator": "10.10.0.10",
}
DEVICES = {"camera": "line-1", "camera-2": "line-1", "sensor": "line-2", "visitor": "guests"}
"""Devices, with their segments."""

SERVICE_PORT = 8443
PORTS = (22, SERVICE_PORT)
SYSLOG_PORT = 514

_ETHERNET_IPV4 = 0x0800

SERVICES = {
    "aggregator": Service(audience="aggregator-1", addresses=["10.10.0.10", "fd00:10::10"], ports=[SERVICE_PORT]),
    "gateway": Service(audience="gateway-1", addresses=["10.10.0.20", "fd00:10::20"], ports=[SERVICE_PORT]),
    "models": Service(audience="models-1", addresses=["10.10.0.30"], ports=[SERVICE_PORT]),
    "syslog": Service(audience="syslog-1", addresses=["10.10.0.30"], protocol="udp", ports=[SYSLOG_PORT]),
}
"""The first two are the product's own (``policies/data/services``)."""


def grant(device: str, service: str, *, seconds: float = 300.0, number: int = 0, source: str | None = None) -> Grant:
    """A grant from now on."""
    return Grant(
        id=f"{device}-{service}-{number}",
        device=device,
        source=source or ADDRESSES[device],
        service=service,
        expires_at=time.time() + seconds,
        decision=f"decision-{device}-{service}",
        segment=DEVICES.get(device, "core"),
        site="plant",
        device_class=device.partition("-")[0],
    )


def table(grants: Iterable[Grant] = (), cuts: Iterable[str] = (), *, revision: int = 0) -> GrantTable:
    """A table made now."""
    return GrantTable(
        revision=f"{revision:064x}",
        policy_revision="by-hand",
        made_at=time.time(),
        services=SERVICES,
        grants=sorted(grants, key=lambda one: one.id),
        cuts=[Cut(device=name, address=ADDRESSES[name], reason="quarantined") for name in sorted(cuts)],
    )


@dataclass
class Plant:
    """The hosts by name, and the router between them."""

    router: Node
    hosts: dict[str, Node] = field(default_factory=dict)
    listening: dict[tuple[str, int], socket.socket] = field(default_factory=dict)

    def reached(self, flows: Iterable[Flow], *, seconds: float = 0.4) -> set[Flow]:
        """Return to which of these a TCP connection comes about, all tried at once."""
        named = {host.address: host for host in self.hosts.values()}
        waiting: dict[int, tuple[socket.socket, Flow]] = {}
        found: set[Flow] = set()
        with ExitStack() as stack:
            poll = select.poll()
            for flow in flows:
                trying = stack.enter_context(closing(named[flow.source].plug()))
                trying.setblocking(False)
                if trying.connect_ex((flow.destination, flow.port)) in {0, errno.EINPROGRESS}:
                    poll.register(trying, select.POLLOUT)
                    waiting[trying.fileno()] = (trying, flow)
            until = time.monotonic() + seconds
            left = seconds
            while waiting and left > 0:
                left = until - time.monotonic()
                # Once more when the time is over: on a busy machine it may be over before anybody looked.
                for number, _ in poll.poll(max(0.0, left * 1000)):
                    trying, flow = waiting.pop(number)
                    poll.unregister(number)
                    if trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        found.add(flow)
        return found

    def everything(self) -> list[Flow]:
        """Every way from one host to a port of another that is open there."""
        return [
            Flow(ADDRESSES[one], ADDRESSES[other], "tcp", port)
            for one in ADDRESSES
            for other in ADDRESSES
            if one != other
            for port in PORTS
        ]

    @contextmanager
    def overheard(self, source: str) -> Iterator[Callable[[], set[tuple[str, int]]]]:
        """Gives a function that says where packets of an address came since the last time, and of what protocol."""
        listening = {
            name: host.call(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETHERNET_IPV4))
            for name, host in self.hosts.items()
            if host.address != source
        }
        wanted = socket.inet_aton(source)

        def _heard(seconds: float = 0.3) -> set[tuple[str, int]]:
            time.sleep(seconds)
            found: set[tuple[str, int]] = set()
            for name, one in listening.items():
                one.setblocking(False)
                with suppress(BlockingIOError):
                    while packet := one.recv(4096):
                        if packet[12:16] == wanted:
                            found.add((name, packet[9]))
            return found

        try:
            yield _heard
        finally:
            for one in listening.values():
                one.close()


def flow(source: str, destination: str, port: int = SERVICE_PORT) -> Flow:
    """A way between two hosts by name."""
    return Flow(ADDRESSES[source], ADDRESSES[destination], "tcp", port)


@contextmanager
def plant() -> Iterator[Plant]:
    """The plant, without any rules; gone afterwards.

    Raises:
        NoNamespaces: it cannot be had here.
    """
    with nodes("router", *ADDRESSES) as [router, *hosts], ExitStack() as stack:
        built = Plant(router)
        for number, (host, address) in enumerate(zip(hosts, ADDRESSES.values(), strict=True)):
            router.join(host, f"10.99.{number}.1", address)
            router.also(host, number, f"fd00:99:{number}::1", six(address))
            # What stops a borrowed address shall be the rules.
            router.settings(**{f"ipv4__conf__to{number}__rp_filter": 0})
            for port in PORTS:
                built.listening[host.name, port] = stack.enter_context(closing(host.listen(port)))
            built.hosts[host.name] = host
        router.settings(ipv4__conf__all__rp_filter=0, ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        yield built


def six(address: str) -> str:
    """The IPv6 address of a host of the plant: ``fd00:10::20`` for ``10.10.0.20``."""
    _, *parts = address.split(".")
    return f"fd00:{parts[0]}:{parts[1]}::{parts[2]}" if parts[1] != "0" else f"fd00:{parts[0]}::{parts[2]}"


class Stream:
    """A connection on which both sides send without end, and which notes when something came last.

    Args:
        plant: where it is.
        client: who opens it, by name.
        server: to whose service port.

    Raises:
        OSError: the connection does not come about.
    """

    def __init__(self, plant: Plant, client: str, server: str) -> None:
        listening = plant.listening[server, SERVICE_PORT]
        listening.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                listening.accept()[0].close()
        self._client = plant.hosts[client].connect(ADDRESSES[server], SERVICE_PORT)
        listening.settimeout(3.0)
        self._server, _ = listening.accept()
        self._is_open = True
        self.last = time.monotonic()
        self.received = 0
        self.arrived = 0
        self._threads = [threading.Thread(target=one) for one in (self._send, self._receive, self._back)]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        for one in (self._client, self._server):
            one.close()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        self._each(lambda: (self._server.send(b"tick\n"), self._client.send(b"tock\n")))

    def _each(self, action: Any) -> None:
        self._server.setblocking(False)
        self._client.setblocking(False)
        while self._is_open:
            try:
                action()
            except BlockingIOError:
                pass
            except OSError:
                return
            time.sleep(0.005)

    def _receive(self) -> None:
        def _one() -> None:
            self.received += len(self._client.recv(4096))
            self.last = time.monotonic()

        self._each(_one)

    def _back(self) -> None:
        def _one() -> None:
            self.arrived += len(self._server.recv(4096))

        self._each(_one)

    def flows(self, seconds: float = 3.0) -> bool:
        """Return whether something more arrives on both sides."""
        received, arrived, until = self.received, self.arrived, time.monotonic() + seconds
        while time.monotonic() < until:
            if self.received > received and self.arrived > arrived:
                return True
            time.sleep(0.005)
        return False

    def silent_after(self, moment: float, *, quiet: float = 0.5, seconds: float = 10.0) -> float:
        """Return how long after a moment (``time.monotonic``) something came last, once nothing came for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() - self.last < quiet:
            assert time.monotonic() < until, "the stream goes on"
            time.sleep(0.005)
        return max(0.0, self.last - moment)


def names(flows: Sequence[Flow] | set[Flow]) -> list[str]:
    """Ways between hosts, as people read them."""
    known = {address: name for name, address in ADDRESSES.items()}
    return sorted(f"{known[one.source]} -> {known[one.destination]}:{one.port}" for one in flows)
