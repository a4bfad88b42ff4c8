"""Which addresses a server may be asked to fetch from, so that it is nobody's way into its own network.

The check is where names become addresses, and each connection is made to an address that was checked: a name that
first leads outside and then inside gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Literal

from aiohttp.abc import AbstractResolver, ResolveResult

Reach = Literal["public", "private", "lab"]
"""Addresses that are reached: those of the internet; those of private networks too; those of this machine as well."""

_PRIVATE = tuple(
    ipaddress.ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
# What platforms answer at that is not link-local, and what Python releases differ on.
_NEVER = tuple(ipaddress.ip_network(one) for one in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
_THREADS = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):  # noqa: N818 - named for what happened
    """A name leads to an address that is not reached. The message says which name."""


def may_reach(address: str, reach: Reach) -> bool:
    """Whether an address may be connected to. Link-local ones never are: clouds answer there with credentials."""
    try:
        found = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if found.is_loopback:
        return reach == "lab"
    if _is_in(found, _NEVER):
        return False
    if _is_in(found, _PRIVATE):
        return reach != "public"
    is_site_local = isinstance(found, IPv6Address) and found.is_site_local
    return found.is_global and not (found.is_multicast or found.is_reserved or is_site_local)


def _is_in(address: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address leads to, where it does (RFC 4291, 3056, 6052)."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class OwnThreads(AbstractResolver):
    """Resolves names as the system does, in threads of its own.

    The system waits for a slow name server for as long as it likes, whoever gave up meanwhile: in the threads that
    all others use, a few names of somebody else's would hold up everything.

    Args:
        lookup: asks the system, as `socket.getaddrinfo` does.
    """

    def __init__(self, lookup: Callable[..., Any] = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._threads: ThreadPoolExecutor | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            OSError: it has none.
        """

        def look() -> Any:
            return self._lookup(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)

        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ztfm-names")
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
            if kind in (socket.AF_INET, socket.AF_INET6)
        ]

    async def close(self) -> None:
        """Take no further names; who is asked about already is not waited for."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)


class GuardedNames(AbstractResolver):
    """Resolves names, and refuses those of which any address may not be reached.

    Args:
        reach: addresses that may.
        names: resolves; none for the system's own way.
    """

    def __init__(self, reach: Reach, names: AbstractResolver | None = None) -> None:
        self._reach = reach
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            AddressRefused: one of them may not be reached.
            OSError: it has none.
        """
        if self._names is None:
            self._names = OwnThreads()
        found = await self._names.resolve(host, port, family)
        if not found:
            raise OSError(f"{host} has no address")
        if not all(may_reach(one["host"], self._reach) for one in found):
            raise AddressRefused(f"{host} leads to an address that is not reached")
        return found

    async def close(self) -> None:
        """Give back what resolves names."""
        if self._names is not None:
            await self._names.close()
