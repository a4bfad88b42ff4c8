"""What ``ztfm top`` shows at one moment, made of what was read; no terminal is known here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controlplane.cli.exposition import Change
from controlplane.contracts.decision import Decision
from controlplane.contracts.rounds import RoundStanding
from controlplane.contracts.standing import BehaviourStanding

RUNBOOKS = "docs/runbooks"


@dataclass(frozen=True)
class Wrong:
    """Something that is wrong now.

    Attributes:
        what: in one line.
        remedy: where to go on.
    """

    what: str
    remedy: str


@dataclass(frozen=True)
class Rate:
    """How many decisions ended so.

    Attributes:
        total: since the control plane began to count.
        per_second: over the window; none where there is none yet.
    """

    action: str
    outcome: str
    total: float
    per_second: float | None


@dataclass(frozen=True)
class Missing:
    """A requirement that was missing in denied decisions; the figures are as in `Rate`."""

    action: str
    reason: str
    total: float
    per_second: float | None


@dataclass(frozen=True)
class Engine:
    """How what evaluates policies keeps up.

    Attributes:
        name: ``opa`` or ``embedded``; empty where it is not known.
        calls_per_second: of any result.
        failed_per_second: of any result but ``ok``.
        p99_seconds: of a call, over the window.
        queue: decisions that wait for a call.
        circuit_open: calls are suspended.
        restarts: of the sidecar.
    """

    name: str
    calls_per_second: float | None
    failed_per_second: float | None
    p99_seconds: float | None
    queue: float
    circuit_open: bool
    restarts: float


@dataclass(frozen=True)
class Readings:
    """What was read.

    Attributes:
        time: Unix seconds.
        place: of the control plane.
        away: why it does not answer; empty while it does.
        away_since: Unix seconds; none while it answers.
        back_since: since when it answers again, Unix seconds; none where it was never away.
        faults: what could not be read, though it answers.
        ready: what ``/readyz`` says; none where that is not known.
        change: of the metrics over the window; none where they are not known.
        subjects: by where they stand; none where the metrics say it.
        least: subjects by trust, least first.
        rounds: the newest ones.
        denied: the newest decisions that were no allow.
    """

    time: float
    place: str
    away: str = ""
    away_since: float | None = None
    back_since: float | None = None
    faults: Sequence[str] = ()
    ready: Mapping[str, Any] | None = None
    change: Change | None = None
    subjects: Mapping[str, int] | None = None
    least: Sequence[BehaviourStanding] = ()
    rounds: Sequence[RoundStanding] = ()
    denied: Sequence[Decision] = ()


@dataclass(frozen=True)
class Frame:
    """What is shown at one moment; as `document` it is what ``--json`` prints.

    Attributes:
        time: Unix seconds.
        place: of the control plane.
        answers: it does.
        ready: it can decide; none where that is not known.
        away_since: Unix seconds; none while it answers.
        back_since: since when it answers again.
        wrong: what is wrong now.
        window_seconds: over which changes are told; none where there is no earlier reading.
        decisions: by action and outcome, the most frequent first.
        reasons: of denials, the most frequent first.
        p50_seconds: of a decision, over the window; none where nothing was decided.
        p99_seconds: the same.
        engine: that evaluates policies.
        policy_revision: that decides.
        policy_age_seconds: since it was published.
        layers: of policies, as ``/readyz`` tells of them.
        subjects: by where they stand.
        least: trusted.
        rounds: the newest ones.
        denied: the newest decisions that were no allow.
    """

    time: float
    place: str
    answers: bool
    ready: bool | None
    away_since: float | None
    back_since: float | None
    wrong: list[Wrong]
    window_seconds: float | None = None
    decisions: list[Rate] = field(default_factory=list)
    reasons: list[Missing] = field(default_factory=list)
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    engine: Engine | None = None
    policy_revision: str = ""
    policy_age_seconds: float | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    subjects: dict[str, int] = field(default_factory=dict)
    least: Sequence[BehaviourStanding] = ()
    rounds: Sequence[RoundStanding] = ()
    denied: Sequence[Decision] = ()

    def document(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        plain = {name: getattr(self, name) for name in ("least", "rounds", "denied")}
        listed = {name: [one.model_dump(mode="json") for one in found] for name, found in plain.items()}
        return {**{name: value for name, value in asdict(self).items() if name not in listed}, **listed}


def frame(read: Readings) -> Frame:
    """Return what is shown of what was read. What is not known is left out, never told as it was before."""
    ready, change = read.ready or {}, read.change
    shown = Frame(
        time=read.time,
        place=read.place,
        answers=not read.away,
        ready=bool(ready.get("ready")) if read.ready is not None else None,
        away_since=read.away_since,
        back_since=read.back_since,
        wrong=_wrong(read),
        policy_revision=str(ready.get("policy_revision") or ""),
        policy_age_seconds=ready.get("policy_age_seconds"),
        layers=list(ready.get("policies", [])),
        least=read.least,
        rounds=read.rounds,
        denied=read.denied,
    )
    if read.subjects is not None:
        shown = replace(shown, subjects=dict(read.subjects))
    return (
        shown if change is None else replace(shown, **_counted(change, str(ready.get("engine") or ""), shown.subjects))
    )


def _counted(change: Change, engine: str, subjects: dict[str, int]) -> dict[str, Any]:
    new = change.new
    states = {one["state"]: int(many) for one, many in new.samples.get("ztfm_behaviour_subjects", [])}
    decided = {(one["action"], one["outcome"]): grew for one, grew in change.each("ztfm_decisions_total")}
    missing = {(one["action"], one["reason"]): grew for one, grew in change.each("ztfm_decision_reasons_total")}
    rates = [
        Rate(one["action"], one["outcome"], total, _per_second(change, decided.get((one["action"], one["outcome"]))))
        for one, total in new.samples.get("ztfm_decisions_total", [])
        if total
    ]
    reasons = [
        Missing(one["action"], one["reason"], total, _per_second(change, missing.get((one["action"], one["reason"]))))
        for one, total in new.samples.get("ztfm_decision_reasons_total", [])
        if total
    ]
    calls = "ztfm_opa_requests_total"
    failed = change.rate(calls)
    return {
        "window_seconds": change.seconds,
        "subjects": subjects or states,
        "decisions": sorted(rates, key=_frequency),
        "reasons": sorted(reasons, key=_frequency),
        "p50_seconds": change.quantile("ztfm_decision_duration_seconds", 0.5),
        "p99_seconds": change.quantile("ztfm_decision_duration_seconds", 0.99),
        "engine": Engine(
            name=engine,
            calls_per_second=change.rate(calls),
            failed_per_second=None if failed is None else max(0.0, failed - (change.rate(calls, result="ok") or 0.0)),
            p99_seconds=change.quantile("ztfm_opa_request_duration_seconds", 0.99),
            queue=new.total("ztfm_opa_queue_length"),
            circuit_open=new.total("ztfm_opa_circuit_open") > 0,
            restarts=new.total("ztfm_sidecar_restarts_total"),
        ),
    }


def _per_second(change: Change, grew: float | None) -> float | None:
    return None if change.seconds is None or grew is None else grew / change.seconds


def _frequency(one: Rate | Missing) -> tuple[float, float]:
    return -(one.per_second or 0.0), -one.total


def _wrong(read: Readings) -> list[Wrong]:
    found: list[Wrong] = []

    def say(what: str, alert: str) -> None:
        found.append(Wrong(what, f"{RUNBOOKS}/{alert}.md"))

    if read.away:
        say(read.away, "ZtfmControlPlaneDown")
    if read.ready is not None:
        for part, state in read.ready["checks"].items():
            if state != "ok":
                say(f"not ready: {part} is {state}", "ZtfmNotReady")
        for layer in read.ready.get("policies", []):
            if layer.get("refused"):
                say(f"policies of the layer {layer.get('layer')} were refused: {layer['refused']}", "ZtfmPolicyRefused")
    if read.change is not None:
        _count_wrong(read.change, say)
        _count_denied(read.change, (read.ready or {}).get("policy_age_seconds"), say)
    found += [Wrong(fault, "what it names is shown as unknown until it can be read") for fault in read.faults]
    return found


def _count_wrong(change: Change, say: Callable[[str, str], None]) -> None:
    new = change.new
    if new.total("ztfm_opa_circuit_open"):
        say("calls to OPA are suspended: every decision is a denial", "ZtfmPolicyEngineDown")
    for labels, value in new.samples.get("ztfm_policy_current", []):
        if not value:
            say(f"the layer {labels['layer']} does not decide by its release yet", "ZtfmPolicyNotCurrent")
    for name, labels, what, alert in _COUNTED_WRONG:
        many = round(change.grew(name, **labels))
        if many:
            say(f"{what}: {many:,} in {change.seconds:.0f} s", alert)
    waits = new.total("ztfm_rollbacks_waiting_age_seconds")
    if waits > _ROLLBACK_SECONDS:
        say(f"a rollback waits for its aggregator for {waits / 60:.0f} min", "ZtfmRollbackWaiting")


def _count_denied(change: Change, policy_age: float | None, say: Callable[[str, str], None]) -> None:
    """Say that fresh policies deny most of what is asked: they make no errors, so nothing else tells of it."""
    decided = [(one, grew) for one, grew in change.each("ztfm_decisions_total") if one.get("action") != "search"]
    many = sum(grew for _, grew in decided)
    denied = sum(grew for one, grew in decided if one.get("outcome") == "deny")
    if policy_age is not None and policy_age < _FRESH_SECONDS and denied >= _DENIED_LEAST and denied > 0.5 * many:
        since = f"by policies that were published {policy_age / 60:.0f} min ago"
        say(f"{denied / many:.0%} of decisions are denials, {since}", "ZtfmDenialsAfterPolicyChange")


_FRESH_SECONDS = 3600.0
_DENIED_LEAST = 10.0
_ROLLBACK_SECONDS = 900.0

_COUNTED_WRONG: tuple[tuple[str, dict[str, str], str, str], ...] = (
    (
        "ztfm_decisions_total",
        {"outcome": "error"},
        "decisions that policy gave no answer to",
        "ZtfmAvailabilityBurnsFast",
    ),
    ("ztfm_audit_records_total", {"result": "failed"}, "decisions that could not be recorded", "ZtfmAuditFailing"),
    ("ztfm_sidecar_restarts_total", {}, "restarts of OPA", "ZtfmSidecarRestarting"),
    ("ztfm_worker_restarts_total", {}, "restarts of workers", "ZtfmWorkerRestarting"),
)
