"""Decide one request and say why: each requirement, whether it held, where its rule is, and what did not hold there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controlplane.authoring.asking import evaluate
from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.findings import place_of_code
from controlplane.authoring.folder import EXTRA, OTHER, PolicyFolder
from controlplane.authoring.layerfolder import STAND_IN, LayerFolder
from controlplane.authoring.requesting import Request
from controlplane.authoring.tracing import Condition, RuleTrace, read_trace
from controlplane.contracts.decision import PolicyDecision

MAX_CONDITIONS = 6
"""Conditions shown of one requirement."""


@dataclass(frozen=True)
class Requirement:
    """One thing that the decision required.

    Attributes:
        held: it was shown.
        waived: it was not, and an exception waives it.
        message: what it means that it was not; empty when it held.
        remedy: what to do then.
        differences: claims that are not what they should be, a sentence each.
        file: of its rule, relative to the policy folder; empty when none names it.
        conditions: what did not hold there.
    """

    code: str
    held: bool
    waived: bool = False
    message: str = ""
    remedy: str = ""
    differences: list[str] = field(default_factory=list)
    file: str = ""
    line: int = 0
    conditions: list[Condition] = field(default_factory=list)


@dataclass(frozen=True)
class Explanation:
    """A decision and why.

    Attributes:
        package: that decided, such as ``ztfm.inference``.
    """

    package: str
    allow: bool
    ttl_seconds: float
    obligations: dict[str, Any]
    requirements: list[Requirement]


def explain(opa: Path, folder: PolicyFolder, request: Request) -> Explanation:
    """Decide a request with OPA and explain the decision.

    Raises:
        AuthoringError: there is no decision: the policies do not compile, leave it undefined, or give something else.
    """
    query, document = _question(folder, request)
    options = ["--explain", "full", "--disable-indexing", "--disable-early-exit"]
    answer = evaluate(opa, folder, query, document, *options)
    package = _deciding(folder, request)
    try:
        document = answer["result"][0]["expressions"][0]["value"]
    except (KeyError, IndexError):
        raise AuthoringError(f"{package}.decision is undefined: the control plane answers that with an error") from None
    try:
        decision = PolicyDecision.model_validate(document)
    except ValidationError as error:
        raise AuthoringError(f"{package}.decision is no decision, which denies with an error: {error}") from None
    traces = read_trace(answer.get("explanation") or [], folder, request.facts)
    reasons = {reason.code: reason for reason in decision.reasons}
    waived = set(decision.obligations.waived)
    requirements = []
    for code in sorted({*decision.rules, *reasons} - {STAND_IN}):
        own = folder.own_code(code)
        reason = reasons.get(code)
        held = reason is None and code not in waived
        file, line = _place(folder, request.package, own, traces.get(own, []), held)
        requirements.append(
            Requirement(
                code=code,
                held=held,
                waived=code in waived,
                message=reason.message if reason else "",
                remedy=reason.remedy if reason else "",
                differences=[one.sentence for one in reason.differences] if reason else [],
                file=file,
                line=line,
                conditions=[] if held else _conditions(traces.get(own, [])),
            )
        )
    obligations = decision.obligations.model_dump(exclude_defaults=True)
    return Explanation(package, decision.allow, decision.ttl_seconds, obligations, requirements)


def _question(folder: PolicyFolder, request: Request) -> tuple[str, Any]:
    if isinstance(folder, LayerFolder):
        return f'{folder.combination}["asked"]', {request.package: {"asked": request.facts}}
    return f"data.ztfm.{request.package}.decision", request.facts


def _deciding(folder: PolicyFolder, request: Request) -> str:
    if isinstance(folder, LayerFolder):
        return f"{folder.layer}.batch"
    own = f"{EXTRA}/{request.facts.get('resource', {}).get('type')}"
    is_own = request.package == OTHER and own in folder.decisions()
    return f"ztfm.{own.replace('/', '.')}" if is_own else f"ztfm.{request.package}"


def _place(folder: PolicyFolder, package: str, code: str, traces: list[RuleTrace], held: bool) -> tuple[str, int]:
    chosen = next((trace for trace in traces if trace.held == held), None)
    if chosen is not None:
        return chosen.file, chosen.line
    place = place_of_code(folder.rules_of(package), code)
    return (place[0].relative_to(folder.root).as_posix(), place[1]) if place else ("", 0)


def _conditions(traces: list[RuleTrace]) -> list[Condition]:
    found = [condition for trace in traces for condition in trace.failed]
    return list({(condition.file, condition.line): condition for condition in found}.values())[:MAX_CONDITIONS]
