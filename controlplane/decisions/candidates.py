"""Names that could be the answer to a search: enrolled devices from the registry, all else from the policy bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from controlplane.contracts.base import ResourceName
from controlplane.contracts.facts.other import CandidatesQuery
from controlplane.contracts.identity import Device
from controlplane.decisions.engine import Answered, Cause, PolicyEngine

PACKAGE = "candidates"
ENROLLED = "device"
"""The one type of subject that the registry lists."""

_NAMES: TypeAdapter[list[str]] = TypeAdapter(
    Annotated[list[ResourceName], Field(max_length=256)], config=ConfigDict(strict=True)
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that could be an answer, and the enrolled device that bears it, where it is one."""

    name: str
    device: Device | None = None


class CandidatesUnavailable(Exception):  # noqa: N818 - a state, as callers see it
    """The policy engine could not list candidates.

    Attributes:
        cause: as of an unanswered question.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class DeviceList(Protocol):
    """Lists enrolled devices."""

    async def page(self, after: str, limit: int) -> Sequence[Device]:
        """Return up to ``limit`` devices whose id comes after ``after``, in order of id."""
        ...


class Candidates:
    """Lists candidates in order of name, a few at a time; being listed allows nothing."""

    def __init__(self, engine: PolicyEngine, devices: DeviceList) -> None:
        self._engine = engine
        self._devices = devices

    async def list(self, query: CandidatesQuery) -> list[Candidate]:
        """Return the next candidates, ``query.limit`` at most; fewer are the last.

        Raises:
            CandidatesUnavailable: policy could not be asked, or its answer is no list of names.
            StoreUnavailable: the registry could not be read.
        """
        if query.kind == "subject" and query.subject_type == ENROLLED:
            return [Candidate(device.id, device) for device in await self._devices.page(query.after, query.limit)]
        answer = await self._engine.ask(PACKAGE, query.model_dump_json().encode())
        if not isinstance(answer, Answered):
            raise CandidatesUnavailable(answer.cause)
        try:
            names = _NAMES.validate_python(answer.document)
        except ValidationError:
            raise CandidatesUnavailable("malformed") from None
        if len(names) > query.limit or names != sorted(set(names)) or any(name <= query.after for name in names):
            raise CandidatesUnavailable("malformed")
        return [Candidate(name) for name in names]
