"""Rows for whatever tables a schema has, what became of them, and what code may rely on in it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Connection,
    Float,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    UniqueConstraint,
    column,
    insert,
    select,
)
from sqlalchemy import table as named

Columns = Mapping[str, tuple[str, ...]]
"""By table: its columns' names."""

ROWS = 2


def schema_in(connection: Connection) -> list[Table]:
    """Return the tables of a database as it has them, those that others refer to first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [one for one in metadata.sorted_tables if one.name != "alembic_version"]


def fill(connection: Connection, tables: list[Table]) -> None:
    """Put rows into each table that has none, with a value in every column."""
    for table in tables:
        if not connection.execute(select(table).limit(1)).all():
            connection.execute(insert(table), [_row(table, number) for number in range(ROWS)])


def rows_of(connection: Connection, columns: Columns) -> dict[str, frozenset[tuple[Any, ...]]]:
    """Return the rows of some tables, as far as these columns go."""
    return {
        name: frozenset(
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in connection.execute(select(*map(column, kept)).select_from(named(name)))
        )
        for name, kept in columns.items()
    }


def columns_of(tables: list[Table]) -> Columns:
    """Return the columns of each table, by name."""
    return {one.name: tuple(sorted(column.name for column in one.columns)) for one in tables}


def taken_away(before: list[Table], after: list[Table]) -> list[str]:
    """Return what code that knows the schema before could not do any more."""
    new = {one.name: one for one in after}
    found = [f"table {one.name} is gone" for one in before if one.name not in new]
    for old in (one for one in before if one.name in new):
        found += _changed(old, new[old.name])
    return found


def _changed(old: Table, new: Table) -> list[str]:
    found = [f"{old.name}: constraints changed"] if _constraints(old) != _constraints(new) else []
    for one in old.columns:
        theirs = new.columns.get(one.name)
        if theirs is None or (str(theirs.type), theirs.nullable) != (str(one.type), one.nullable):
            found.append(f"{old.name}.{one.name} is gone or another")
    added = [one for one in new.columns if one.name not in old.columns]
    needs = [one.name for one in added if not one.nullable and one.server_default is None]
    return [*found, *(f"{old.name}.{name} is new and needs a value" for name in needs)]


def _constraints(table: Table) -> set[Any]:
    kinds = (CheckConstraint, ForeignKeyConstraint, UniqueConstraint)
    key = ("key", *(one.name for one in table.primary_key))
    others = {
        (type(one).__name__, *sorted(part.name for part in getattr(one, "columns", ())))
        for one in table.constraints
        if isinstance(one, kinds)
    }
    return {key, *others}


def _row(table: Table, number: int) -> dict[str, Any]:
    return {one.name: _value(one.type, number) for one in table.columns}


def _value(kind: Any, number: int) -> Any:
    # What refers to another table has to fit there: rows of one number go together.
    if isinstance(kind, Boolean):
        return bool(number)
    if isinstance(kind, Integer):
        return number + 1
    if isinstance(kind, (Float, Numeric)):
        return number + 0.5
    if isinstance(kind, LargeBinary):
        return f"{number}".encode()
    return f"value-{number}"[-(getattr(kind, "length", None) or 64) :]
