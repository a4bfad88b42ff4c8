"""Why a request was decided as it was: the recorded verdict, placed in the policies, and what would have helped."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from controlplane.authoring import explain as explain_request
from controlplane.authoring.explaining import Explanation, Requirement
from controlplane.authoring.folder import PolicyFolder
from controlplane.authoring.requesting import Request
from controlplane.contracts.attestation import Difference
from controlplane.history.engine import deciding
from controlplane.history.masked import masked_and_read, rego_package
from controlplane.history.nearest import Nearest, Search
from controlplane.history.records import Recorded
from controlplane.history.sources import read_sources
from controlplane.sidecar import OpaBinary


@dataclass(frozen=True)
class ExplainedRecord:
    """A recorded decision, explained by policies that may be others than those that decided.

    Attributes:
        recorded: the decision.
        explanation: its verdict and requirements as they were recorded, the missing first; where each stands, and what
            did not hold there, in the policies that are looked at.
        again: what these policies decide on the same facts; none where that cannot be said.
        unsure: pointers to facts that were kept out of the log and that these policies read.
        nearest: the smallest changes that they would allow; none where they allow it as it was, or where it cannot be
            said.
    """

    recorded: Recorded
    explanation: Explanation
    again: Explanation | None
    unsure: tuple[str, ...]
    nearest: Nearest | None


async def explain(
    recorded: Recorded, opa: OpaBinary, folder: PolicyFolder, donors: Sequence[dict[str, Any]] = ()
) -> ExplainedRecord:
    """Explain a recorded decision by a policy folder.

    Args:
        recorded: the decision.
        opa: reads the policies, and decides by them.
        folder: of the policies.
        donors: facts of requests that were allowed, for what was absent.

    Raises:
        AuthoringError: the policies do not compile, or give no decision.
        SidecarError: OPA does not come up.
        ReplayFailed: OPA went away.
    """
    request = Request(recorded.package, recorded.facts)
    again = await asyncio.to_thread(explain_request, opa.path, folder, request)
    sources = await read_sources(opa, folder.root)
    unsure = masked_and_read(recorded, sources)
    explanation = _as_recorded(again, recorded)
    if unsure:
        # A marker stands where a value did: what comes of it is no decision about this request.
        return ExplainedRecord(recorded, explanation, None, unsure, None)
    nearest = None
    if not again.allow:
        codes = frozenset(item.code for item in again.requirements if not item.held and not item.waived)
        async with deciding(opa, folder.root) as held:
            search = Search(recorded.package, held.engine, sources, donors)
            nearest = await search.run(recorded.facts, codes, rego_package(recorded, sources))
    return ExplainedRecord(recorded, explanation, again, (), nearest)


def _as_recorded(again: Explanation, recorded: Recorded) -> Explanation:
    """Return the recorded verdict, each requirement with its place in the policies that were asked again."""
    document = recorded.document
    places = {item.code: item for item in again.requirements}
    reasons = {reason["code"]: reason for reason in document["reasons"]}
    waived = set(document["obligations"].get("waived") or ())
    requirements = []
    for code in [*reasons, *sorted(set(document["rules"]) - reasons.keys())]:
        reason = reasons.get(code, {})
        requirements.append(
            replace(
                places.get(code) or Requirement(code, held=False),
                held=code not in reasons and code not in waived,
                waived=code in waived,
                message=str(reason.get("message", "")),
                remedy=str(reason.get("remedy", "")),
                differences=_differences(reason),
            )
        )
    stated = document["obligations"].items()
    obligations = {name: value for name, value in stated if value is not None and value is not False and value != []}
    is_allowed = document["outcome"] == "allow"
    return Explanation(again.package, is_allowed, document["ttl_seconds"], obligations, requirements)


def _differences(reason: dict[str, Any]) -> list[str]:
    """Return a sentence for each claim that a recorded reason names; none for what somebody else wrote there."""
    try:
        return [Difference.model_validate(one).sentence for one in reason.get("differences") or ()]
    except (ValidationError, TypeError):
        return []
