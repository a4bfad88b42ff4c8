"""A store whose disk fails at one kind of write, of either kind."""

from sqlalchemy import text

from controlplane.storage import Store

_SQLITE = ("CREATE TRIGGER broken BEFORE {what} BEGIN SELECT RAISE(ABORT, 'disk is full'); END",)
_POSTGRESQL = (
    "CREATE FUNCTION broken() RETURNS trigger AS $$ BEGIN RAISE 'disk is full'; END $$ LANGUAGE plpgsql",
    "CREATE TRIGGER broken BEFORE {what} FOR EACH ROW EXECUTE FUNCTION broken()",
)


async def break_writes(store: Store, what: str) -> None:
    """Have every write of a kind fail from now on, such as ``INSERT ON rollbacks``."""
    for statement in _SQLITE if store._database.kind == "sqlite" else _POSTGRESQL:
        await store._database.change("break the table", text(statement.format(what=what)))
