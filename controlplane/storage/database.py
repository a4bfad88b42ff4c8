"""Connections to one database, and every fault of it under one name."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Executable, Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage.addresses import Synchronous, shown
from controlplane.storage.backends import Backend, OneFile, Pool
from controlplane.storage.errors import StoreUnavailable
from controlplane.storage.lines import Line

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

_HARMLESS = text("UPDATE alembic_version SET version_num = version_num")
"""A write that changes nothing, of one row that each database has; a full disk refuses it like any other."""


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
        self._backend: Backend = OneFile(address, synchronous) if self.kind == "sqlite" else Pool(address)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._file = Path(str(address.database)) if self.kind == "sqlite" else None
        self._identity = _identity(self._file)
        self._is_open = True
        self._refused = False
        self._trying: asyncio.Task[int] | None = None

    async def ping(self) -> None:
        """Return when the database answers, and has not refused what was last written.

        Where it did, it is tried whether it takes anything again: a full disk or a lock leaves reading as it was.

        Raises:
            StoreUnavailable: it does not answer, or takes nothing.
        """
        await self.read("reach the database", text("SELECT 1"))
        if self._refused:
            if self._trying is None or self._trying.done():
                self._trying = asyncio.create_task(self.change("write anything", _HARMLESS))
                self._trying.add_done_callback(lambda task: task.cancelled() or task.exception())
            # One who gives up waiting must not leave a second one to wait behind the first.
            await asyncio.shield(self._trying)

    async def write(self, what: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` in a transaction and return what it returns: all of it is written, or nothing.

        It awaits nothing but its connection: to SQLite it runs in a thread without an event loop.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        return await self._noting(self.finish(what, self._backend.write(work)))

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
        return await self._noting(self.finish(what, self._backend.bulk(work)))

    async def read(self, what: str, query: Executable) -> Sequence[Row[Any]]:
        """Return the rows of one query.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
        return await self.finish(what, self._backend.read(query))

    def line(self) -> "Alone":
        """Return a way to run statements that stand alone, over a connection that is kept for it."""
        return Alone(self, self._backend.line() if isinstance(self._backend, Pool) else None)

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
        await self._backend.close()

    async def _noting(self, writing: Coroutine[Any, Any, T]) -> T:
        """Remember whether the last write was refused."""
        try:
            done = await writing
        except StoreUnavailable:
            self._refused = True
            raise
        self._refused = False
        return done

    def refused(self, what: str, why: str) -> StoreUnavailable:
        """Return the fault that says why something was not done."""
        return StoreUnavailable(what, self._where, why)

    async def finish(self, what: str, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` does, which is brought to its end even when its caller is cancelled.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``.
        """
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


class Alone:
    """Runs statements, each in a transaction of its own, one after the other.

    Args:
        database: whose they are.
        line: the connection; none on SQLite, where there is no such way.
    """

    def __init__(self, database: Database, line: Line | None) -> None:
        self._database = database
        self._line = line

    async def fetch(self, what: str, statement: str, *parameters: Any) -> Sequence[Any]:
        """Return the rows of a statement by column names; ``$1`` in it is the first parameter.

        Raises:
            StoreUnavailable: the driver failed while doing ``what``, or this is no PostgreSQL.
        """
        if self._line is None:
            raise self._database.refused(what, "only PostgreSQL can be asked")
        return await self._database.finish(what, self._line.fetch(statement, *parameters))


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
