"""Connections to one database, and every fault of it under one name."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, Row
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage import addresses
from controlplane.storage.addresses import Synchronous, bulk_engine, engines, shown
from controlplane.storage.errors import StoreUnavailable

T = TypeVar("T")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def _driver_faults() -> tuple[type[Exception], ...]:
    # Of ValueError only this: a host name or a text that cannot be encoded.
    faults: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, TimeoutError, UnicodeError)
    # PostgreSQL's driver is optional.
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError:
        return faults
    return (*faults, asyncpg.PostgresError, asyncpg.InterfaceError)


FAULTS = _driver_faults()
"""What SQLAlchemy and the drivers raise."""


class Spans(Protocol):
    """Traces what the database does."""

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[object]:
        """Open a span within the current one."""
        ...


_UNTRACED: AbstractContextManager[object] = nullcontext()


class Database:
    """One database: writing in transactions, reading without.

    What has begun is brought to its end even when its caller is cancelled. Cutting a driver off in the middle
    would leave a connection behind that holds its locks until it is collected, and every other writer outside.

    Args:
        address: a URL that `read_address` returned.
        synchronous: how SQLite commits.
        spans: traces what is done; none does not.
    """

    def __init__(self, address: URL, synchronous: Synchronous = "NORMAL", spans: Spans | None = None) -> None:
        self.kind = address.get_backend_name()
        self._spans = spans
        self._said = {"db.system.name": self.kind}
        self._where = shown(address)
        self._writer, self._reader = engines(address, synchronous)
        # SQLite alone: many rows cross to its thread and back once, not once for every step of the transaction.
        self._bulk = bulk_engine(address, synchronous) if self.kind == "sqlite" else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ztfm-bulk")
        # Its two writing connections take turns here: waiting for SQLite's own lock means polling.
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._file = Path(str(address.database)) if self.kind == "sqlite" else None
        self._identity = _identity(self._file)
        self._is_open = True

    async def write(self, what: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` in a transaction and return what it returns: all of it is written, or nothing.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        return await self._finish(what, self._transaction(work))

    async def change(self, what: str, statement: Executable, parameters: Parameters | None = None) -> int:
        """Run one statement in a transaction and return how many rows it changed.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """

        async def _run(connection: AsyncConnection) -> int:
            return (await connection.execute(statement, parameters)).rowcount

        return await self.write(what, _run)

    async def bulk(self, what: str, work: Callable[[Connection], T]) -> T:
        """Do ``work``, which blocks, in a transaction of its own, as fast as can be, and return what it returns.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        return await self._finish(what, self._blocking(work))

    async def read(self, what: str, query: Executable) -> Sequence[Row[Any]]:
        """Return the rows of one query.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        return await self._finish(what, self._query(query))

    @contextmanager
    def understanding(self, what: str) -> Iterator[None]:
        """Read rows as what they are to be; somebody may have written into the tables who is not us.

        Raises:
            StoreUnavailable: a row is nothing that we write.
        """
        try:
            yield
        except (ValueError, TypeError) as error:
            why = f"a row is not as ztfm writes it ({type(error).__name__})"
            raise StoreUnavailable(what, self._where, why) from None

    async def close(self) -> None:
        """Finish what is under way and close all connections; later calls find the store unavailable."""
        self._is_open = False
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._reader.dispose()
        await self._writer.dispose()
        if self._bulk is not None:
            self._bulk.dispose()
        self._thread.shutdown()

    async def _transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._own_turn(), self._writer.begin() as connection:
            return await work(connection)

    async def _blocking(self, work: Callable[[Connection], T]) -> T:
        if self._bulk is None:
            async with self._writer.begin() as connection:
                return await connection.run_sync(work)
        async with self._own_turn():
            return await asyncio.get_running_loop().run_in_executor(self._thread, _transaction, self._bulk, work)

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        if self._bulk is None:
            yield
            return
        try:
            await asyncio.wait_for(self._turn.acquire(), addresses.WAIT_SECONDS)
        except TimeoutError:
            raise TimeoutError("other writers did not end in time") from None
        try:
            yield
        finally:
            self._turn.release()

    async def _query(self, query: Executable) -> Sequence[Row[Any]]:
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).all()

    async def _finish(self, what: str, work: Coroutine[Any, Any, T]) -> T:
        if not self._is_open:
            work.close()
            raise StoreUnavailable(what, self._where, "the store was closed")
        if self._identity is not None and _identity(self._file) != self._identity:
            # SQLite would go on writing into a file that nobody can find any more.
            work.close()
            raise StoreUnavailable(what, self._where, "the database file was moved away or replaced")
        with self._spans.span(what, self._said) if self._spans is not None else _UNTRACED:
            task = asyncio.create_task(work)
            self._under_way.add(task)
            task.add_done_callback(self._end)
            try:
                return await asyncio.shield(task)
            except FAULTS as fault:
                raise unavailable(what, self._where, fault) from fault

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        # When its caller was cancelled, nobody is left to hear of a fault.
        if not task.cancelled():
            task.exception()


def _transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _identity(file: Path | None) -> tuple[int, int] | None:
    try:
        found = None if file is None else file.stat()
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)


def unavailable(what: str, where: str, fault: Exception) -> StoreUnavailable:
    """Return ``fault`` under the name that callers know, with the driver's first line and no parameters."""
    origin = getattr(fault, "orig", None) or fault
    lines = str(origin).splitlines() or [""]
    return StoreUnavailable(what, where, f"{type(origin).__name__}: {lines[0][:200]}")
