"""A connection that is kept for one purpose, on which statements stand alone: the shortest way to PostgreSQL there is.

What a request waits for beside its decision takes it. The pool's way, which brings transactions, costs several times
the processor time of the statement itself.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Line:
    """One connection of a PostgreSQL, made on first use and again after a fault.

    Args:
        engine: makes it, and counts it as one of its pool's.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()
        self._connection: AsyncConnection | None = None
        self._driver: Any = None

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """Run one statement, in a transaction of its own that the server ends, and return its rows by column names.

        Args:
            statement: with ``$1`` for the first parameter.
            parameters: of it.

        Raises:
            Exception: the driver's faults; the next call connects anew.
        """
        async with self._turn:
            try:
                if self._driver is None:
                    self._connection = await self._engine.connect()
                    self._driver = (await self._connection.get_raw_connection()).driver_connection
                rows: Sequence[Any] = await self._driver.fetch(statement, *parameters)
            except BaseException:
                await self._drop()
                raise
            return rows

    async def close(self) -> None:
        """Give the connection back."""
        async with self._turn:
            connection, self._connection, self._driver = self._connection, None, None
            if connection is not None:
                await connection.close()

    async def _drop(self) -> None:
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            # Nobody knows what it still brings.
            with suppress(Exception):
                await connection.invalidate()
                await connection.close()
