"""Prometheus's rules as an object of Prometheus Operator: ``python -m tests.deploy.rules`` writes it."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "monitoring" / "prometheus" / "rules"
WRITTEN = ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "rules.yaml"

LEFT_OUT = {"ZtfmTargetDown"}
"""It asks of all targets of a Prometheus that has no others than ours; in a cluster it would tell of everybody's."""

_HEAD = """\
# Written by `python -m tests.deploy.rules` from monitoring/prometheus/rules, where rules are changed and tested.
# ZtfmTargetDown is left out: in a cluster it would tell of everybody's targets.
"""


def groups() -> list[dict[str, Any]]:
    """Return the groups of all rules, in the order of their files."""
    found = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    kept = [{**one, "rules": [rule for rule in one["rules"] if rule.get("alert") not in LEFT_OUT]} for one in found]
    return [one for one in kept if one["rules"]]


def document() -> str:
    """Return the object as it is checked in."""
    found = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "ztfm", "labels": {"app.kubernetes.io/name": "ztfm"}},
        "spec": {"groups": groups()},
    }
    return _HEAD + yaml.safe_dump(found, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    WRITTEN.write_text(document())
