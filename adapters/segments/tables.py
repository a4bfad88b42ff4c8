"""Where the table comes from: the control plane, as a router asks it, or a file."""

from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from adapters.segments.errors import TableUnreadable
from controlplane.contracts.segmentation import GrantTable


class Tables(Protocol):
    """Gives out the table; a `ControlPlane` does."""

    async def segment_table(self, known: str | None = None, wait_seconds: float = 0.0) -> GrantTable | None:
        """Return the table; none where it is the one of revision ``known`` for as long as was waited."""
        ...


def read_table(path: Path) -> GrantTable:
    """Return the table in a file, as ``GET /v1/segments/table`` gives it.

    Raises:
        TableUnreadable: there is none.
    """
    try:
        return GrantTable.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TableUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise TableUnreadable(f"{path} is no table of grants: {where}: {first['msg']}") from None
