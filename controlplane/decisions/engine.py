"""What a policy engine is: it answers one question about one package, or says that it could not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Cause = Literal["circuit_open", "overloaded", "deadline", "unreachable", "engine_error", "undefined", "malformed"]
"""Why a question went unanswered. Each is a deny with outcome ``error``."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The engine's decision document, unchecked, and the revision of the policy that decided."""

    document: Any
    revision: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No decision could be had."""

    cause: Cause


Answer = Answered | Unanswered


class PolicyEngine(Protocol):
    """Decides one input of ``data.ztfm.<package>``."""

    async def ask(self, package: str, facts: bytes) -> Answer:
        """Return the package's answer to ``facts`` (a JSON object); never raise for an engine's fault."""
        ...


class BatchFault(Exception):  # noqa: N818 - the family's word for what an engine does wrong
    """A call to the engine failed.

    Attributes:
        cause: which answer its questions get.
        whole: the engine itself is in trouble; asking the questions one by one is pointless.
    """

    def __init__(self, cause: Cause, *, whole: bool) -> None:
        super().__init__(cause)
        self.cause: Cause = cause
        self.whole = whole


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """Documents by question id, and the policy revision. Undefined documents are absent."""

    documents: Mapping[str, Any]
    revision: str


class BatchTransport(Protocol):
    """Carries one batch of questions to the engine."""

    async def send(self, body: bytes, within: float) -> BatchAnswer:
        """Send a JSON body and return the answers, within so many seconds.

        Raises:
            BatchFault: the call failed.
        """
        ...
