"""The embedded engine beside a real OPA: the same policies, the same inputs, the same decisions."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.authoring import PolicyFolder
from controlplane.bundles.embedded import CompiledPolicy
from controlplane.bundles.instances import EmbeddedLimits
from controlplane.bundles.layout import DATA, ENTRYPOINTS, WASM
from controlplane.releases.compiled import read_built_in
from tests.controlplane.bundles.inputs import generated
from tests.controlplane.bundles.rego import answered_by_opa
from tests.policies.support import POLICIES

COUNT = 6_000
BATCH = 1_000


@pytest.fixture(scope="module")
def policy() -> Iterator[CompiledPolicy]:
    files = read_built_in(POLICIES).files
    found = CompiledPolicy(files[WASM], json.loads(files[DATA]), EmbeddedLimits(seconds=60.0))
    yield found
    found.close()


def _as_sets(value: Any) -> Any:
    """A document with its lists of text in order: Rego's sets come in any."""
    if isinstance(value, dict):
        return {name: _as_sets(item) for name, item in value.items()}
    if isinstance(value, list):
        return sorted(value) if all(isinstance(item, str) for item in value) else [_as_sets(item) for item in value]
    return value


def test_decisions_are_those_of_opa(policy: CompiledPolicy, tmp_path: Any) -> None:
    examples = [(item.package, item.input) for item in PolicyFolder.open(POLICIES, POLICIES).examples()]
    questions = list(generated([item for item in examples if not item[0].startswith("extra/")], COUNT, seed=20))
    rules = _rules_alone(tmp_path)

    outcomes = {True: 0, False: 0}
    for start in range(0, COUNT, BATCH):
        batch: dict[str, dict[str, Any]] = {}
        for number, (package, facts) in enumerate(questions[start : start + BATCH], start):
            batch.setdefault(package, {})[str(number)] = facts
        body = json.dumps(batch).encode()
        opas = answered_by_opa(rules, "data.ztfm.batch.decisions", body)
        ours = policy.ask(ENTRYPOINTS["base"], body)
        for number in range(start, start + BATCH):
            one, other = opas.get(str(number)), ours.get(str(number))
            assert _as_sets(other) == _as_sets(one), questions[number]
            if isinstance(one, dict) and "allow" in one:
                outcomes[one["allow"]] += 1
    assert min(outcomes.values()) > COUNT // 20, outcomes


def _rules_alone(folder: Any) -> Any:
    """The policies without what OPA would take for data: tests, examples, schemas."""
    for name, content in read_built_in(POLICIES).files.items():
        if name == DATA or name.endswith(".rego"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder
