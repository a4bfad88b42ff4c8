"""What everybody knows beforehand: the organisations that found a federation, and the keys of its log."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from controlplane.contracts.base import Identifier, StrictModel
from controlplane.contracts.identity import PublicKey
from controlplane.jose.keys import load_public
from controlplane.transparency.proofs import LogKeys

MOST_FOUNDERS = 64
_MOST_BYTES = 262_144


class FoundersInvalid(ValueError):  # noqa: N818 - named for what happened
    """The file of founders cannot be used. The message says why, and what it must hold."""


class Founder(StrictModel):
    """An organisation that is an issuer from the start.

    Attributes:
        did: its name.
        key: that it has at the start; a record can give it another.
    """

    did: Identifier
    key: PublicKey


class Founders(StrictModel):
    """What is pinned beforehand.

    Attributes:
        federation: whose founders they are; none where a file is used for the federation of a control plane.
        founders: the organisations; others are accepted by one of them.
        log: keys of the log on which records lie; none where another ledger is used, or they are named otherwise.
    """

    federation: Identifier | None = None
    founders: Annotated[list[Founder], Field(min_length=1, max_length=MOST_FOUNDERS)]
    log: LogKeys | None = None

    @property
    def keys(self) -> dict[str, PublicKey]:
        """Their keys, by their names."""
        return {one.did: one.key for one in self.founders}


def read_founders(path: Path) -> Founders:
    """Return what a file pins.

    Raises:
        FoundersInvalid: it holds no founders, or a key that is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    try:
        found = Founders.model_validate_json(raw[:_MOST_BYTES])
        for one in found.founders:
            load_public(one.key)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FoundersInvalid(
            f"{path}: {where}: {first['msg']}. It is JSON, as `ztfm identity founders --json` prints it"
        ) from None
    except ValueError as error:
        raise FoundersInvalid(f"{path}: a key is no point on the curve P-256: {error}") from None
    if len(found.keys) != len(found.founders):
        raise FoundersInvalid(f"{path} names an organisation twice")
    return found
