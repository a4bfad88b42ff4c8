"""Which series the control plane, guards and gateways expose, and which of them a PromQL expression asks for."""

import re
from functools import cache
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from adapters.gateway.metrics import GatewayMetrics
from adapters.guard.reports import GuardReport
from adapters.metrics import GuardCollector
from adapters.segments.metrics import RouterCollector, Standing
from controlplane.telemetry import Metrics

_SELECTOR = re.compile(r"\b([a-z_]*:?(?:ztfm|gen_ai_(?:client|server))_[a-z0-9_:]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
_TARGET = {"job", "instance"}
_BY = re.compile(r"\bby \(([^)]*)\)")
MONITORING = Path(__file__).resolve().parents[2] / "monitoring"


@cache
def families() -> dict[str, Metric]:
    """Return the control plane's metric families by name."""
    return {family.name: family for family in Metrics("0").registry.collect() if family.name.startswith("ztfm_")}


@cache
def series() -> dict[str, set[str]]:
    """Return every series name with its labels."""
    found: dict[str, set[str]] = {}
    for registry in (Metrics("0").registry, GatewayMetrics("", ()).registry):
        found |= _labelled(registry)
    collected = [*GuardCollector(GuardReport(), "", "").collect(), *RouterCollector(Standing).collect()]
    return found | {sample.name: set(sample.labels) for family in collected for sample in family.samples}


def _labelled(registry: CollectorRegistry) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for collector, names in registry._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        kind = getattr(collector, "_type", "")
        base = getattr(collector, "_name", "")
        for suffix in _SUFFIXES.get(kind, ()):
            if base.startswith(("ztfm_", "gen_ai_")) and (base + suffix in names or not suffix):
                found[base + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


@cache
def recorded() -> dict[str, set[str]]:
    """Return the series that Prometheus records, wherever their rules are, with the labels that they keep."""
    documents = [yaml.safe_load(path.read_text()) for path in sorted(MONITORING.rglob("*.yml"))]
    groups = [group for found in documents for group in found.get("groups", ()) if "rules" in group]
    rules = [rule for group in groups for rule in group["rules"] if "record" in rule]
    kept = {rule["record"]: (_BY.findall(rule["expr"]) or [""])[0] for rule in rules}
    return {name: {label.strip() for label in labels.split(",")} - {"", "le"} for name, labels in kept.items()}


def selectors(expr: str) -> list[tuple[str, set[str]]]:
    """Return the series of this project that an expression asks for, each with the labels that it matches."""
    return [(match[1], {label[1] for label in _MATCHER.finditer(match[2] or "")}) for match in _SELECTOR.finditer(expr)]


def unknown(expr: str, recorded: set[str]) -> list[str]:
    """Return what an expression asks for and nobody exposes or records."""
    problems = []
    for name, labels in selectors(expr):
        if name in recorded:
            continue
        if name not in series():
            problems.append(name)
            continue
        problems += [f"{name}{{{label}}}" for label in sorted(labels - series()[name] - _TARGET)]
    return problems
