"""Connections to one database, and every fault of it under one name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage.addresses import Synchronous, engines
from controlplane.storage.errors import StoreUnavailable


def _driver_faults() -> tuple[type[Exception], ...]:
    faults: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, TimeoutError)
    # PostgreSQL's driver is optional.
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError:
        return faults
    return (*faults, asyncpg.PostgresError, asyncpg.InterfaceError)


FAULTS = _driver_faults()
"""What SQLAlchemy and the drivers raise."""


class Database:
    """One database: writing in transactions, reading without.

    Args:
        address: a URL that `read_address` returned.
        synchronous: how SQLite commits.
    """

    def __init__(self, address: URL, synchronous: Synchronous = "NORMAL") -> None:
        self.kind = address.get_backend_name()
        self._where = address.render_as_string(hide_password=True)
        self._writer, self._reader = engines(address, synchronous)
        self._is_open = True

    @asynccontextmanager
    async def writing(self, what: str) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it is written, or nothing.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        self._require_open(what)
        try:
            async with self._writer.begin() as connection:
                yield connection
        except FAULTS as fault:
            raise unavailable(what, self._where, fault) from fault

    @asynccontextmanager
    async def reading(self, what: str) -> AsyncIterator[AsyncConnection]:
        """A connection for single reads.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        self._require_open(what)
        try:
            async with self._reader.connect() as connection:
                yield connection
        except FAULTS as fault:
            raise unavailable(what, self._where, fault) from fault

    async def close(self) -> None:
        """Close all connections; later calls find the store unavailable."""
        self._is_open = False
        await self._reader.dispose()
        await self._writer.dispose()

    def _require_open(self, what: str) -> None:
        if not self._is_open:
            raise StoreUnavailable(what, self._where, "the store was closed")


def unavailable(what: str, where: str, fault: Exception) -> StoreUnavailable:
    """Return ``fault`` under the name that callers know, with the driver's first line and no parameters."""
    origin = getattr(fault, "orig", None) or fault
    lines = str(origin).splitlines() or [""]
    return StoreUnavailable(what, where, f"{type(origin).__name__}: {lines[0][:200]}")
