"""How work reaches a database: over a pool of asyncio connections, or, to a SQLite file, in threads of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import URL, Connection, CursorResult, Executable, Row
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage import addresses
from controlplane.storage.addresses import READERS, Synchronous, postgres_engine, sqlite_engines
from controlplane.storage.lines import Line

T = TypeVar("T")

Work = Callable[[AsyncConnection], Awaitable[T]]
"""What is done in a transaction; it awaits nothing but its connection."""


class Backend(Protocol):
    """Does work on one database."""

    async def write(self, work: Work[T]) -> T:
        """Do ``work`` in a transaction."""
        ...

    async def bulk(self, work: Callable[[Connection], T]) -> T:
        """Do ``work``, which blocks, in a transaction."""
        ...

    async def read(self, query: Executable) -> Sequence[Row[Any]]:
        """Return the rows of one query."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Pool:
    """PostgreSQL: writing and reading share one pool.

    Args:
        address: of the database.
    """

    def __init__(self, address: URL) -> None:
        self._writer = postgres_engine(address)
        self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        self._lines: list[Line] = []

    def line(self) -> Line:
        """Return a connection that is kept for one purpose; it is closed with the others."""
        self._lines.append(Line(self._reader))
        return self._lines[-1]

    async def write(self, work: Work[T]) -> T:
        """Do ``work`` in a transaction."""
        async with self._writer.begin() as connection:
            return await work(connection)

    async def bulk(self, work: Callable[[Connection], T]) -> T:
        """Do ``work``, which blocks, in a transaction."""
        async with self._writer.begin() as connection:
            return await connection.run_sync(work)

    async def read(self, query: Executable) -> Sequence[Row[Any]]:
        """Return the rows of one query."""
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).all()

    async def close(self) -> None:
        """Close all connections."""
        for line in self._lines:
            await line.close()
        await self._writer.dispose()


class OneFile:
    """SQLite: a transaction, or a query, crosses to a thread and back once, however many statements it has.

    An asyncio driver crosses for each step of each statement, which costs several times what SQLite itself takes.

    Args:
        address: of the database.
        synchronous: how SQLite commits.
    """

    def __init__(self, address: URL, synchronous: Synchronous) -> None:
        self._writer, self._reader = sqlite_engines(address, synchronous)
        # SQLite has one writer at a time anyway: those that queue here need not poll for its lock.
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="ztfm-write")
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="ztfm-read")
        self._turn = asyncio.Lock()

    async def write(self, work: Work[T]) -> T:
        """Do ``work`` in a transaction."""
        return await self.bulk(lambda connection: _at_once(work(cast("AsyncConnection", _Immediate(connection)))))

    async def bulk(self, work: Callable[[Connection], T]) -> T:
        """Do ``work``, which blocks, in a transaction."""
        async with self._own_turn():
            return await asyncio.get_running_loop().run_in_executor(self._writing, self._transaction, work)

    async def read(self, query: Executable) -> Sequence[Row[Any]]:
        """Return the rows of one query."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._rows, query)

    async def close(self) -> None:
        """Close all connections."""
        self._writing.shutdown()
        self._reading.shutdown()
        self._writer.dispose()
        self._reader.dispose()

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._turn.acquire(), addresses.WAIT_SECONDS)
        except TimeoutError:
            raise TimeoutError("other writers did not end in time") from None
        try:
            yield
        finally:
            self._turn.release()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._writer.begin() as connection:
            return work(connection)

    def _rows(self, query: Executable) -> Sequence[Row[Any]]:
        with self._reader.connect() as connection:
            return connection.execute(query).all()


class _Immediate:
    """As much of an asyncio connection as transactions use; whoever awaits it has the answer at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        return self._connection.scalar(statement, parameters)

    async def run_sync(self, work: Callable[..., T], *words: Any, **named: Any) -> T:
        return work(self._connection, *words, **named)

    async def rollback(self) -> None:
        self._connection.rollback()


def _at_once(work: Awaitable[T]) -> T:
    running = cast("Coroutine[Any, Any, T]", work)
    try:
        running.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    running.close()
    raise RuntimeError("a transaction waits for something else than its database")
