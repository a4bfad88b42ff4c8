"""Every row as JSON lines, and as Parquet where DuckDB is installed."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LINES, PARQUET = "results.jsonl", "results.parquet"

MISSING = "no Parquet was written, for DuckDB is missing: pip install 'ztfm[evaluation]'"

_TYPES = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}
_WHOLE = frozenset(
    {"seed", "attackers", "attackers_caught", "slowest_quarantine", "honest_quarantined", "rounds_undone"}
)
_WORDS = frozenset({"task", "attack", "defence", "revision", "command"})


def write(folder: Path, found: Sequence[dict[str, Any]]) -> list[Path]:
    """Write flat rows into ``folder``, which is made as needed; return the files that were written.

    Args:
        folder: of both files; what they held before is replaced.
        found: as `evaluation.comparison.rows.Row.to_json` returns them.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / LINES
    lines.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    if not found or find_spec("duckdb") is None:
        return [lines]
    return [lines, _parquet(folder / PARQUET, found)]


def _parquet(file: Path, found: Sequence[dict[str, Any]]) -> Path:
    import duckdb

    # Columns have the same types whatever the rows hold; what is unknown is null.
    columns = ", ".join(f"{name} {_type(name)}" for name in found[0])
    partial = file.with_suffix(".partial")
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE results ({columns})")
        database.executemany(
            f"INSERT INTO results VALUES ({', '.join('?' * len(found[0]))})",  # noqa: S608 - marks alone
            [list(row.values()) for row in found],
        )
        escaped = str(partial).replace("'", "''")
        database.execute(f"COPY results TO '{escaped}' (FORMAT parquet)")
    partial.replace(file)
    return file


def _type(name: str) -> str:
    kind: type = bool if name == "counts" else int if name in _WHOLE else str if name in _WORDS else float
    return _TYPES[kind]
