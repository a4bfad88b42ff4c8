"""Layers without OPA: what they answer together is what OPA answers by the same modules."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.authoring import PolicyFolder
from controlplane.bundles import BundleRefused, BundleSigner, Trust, VerifiedBundle, verify
from controlplane.bundles.combined import EmbeddedPolicies, LoadedBundle
from controlplane.bundles.embedded import CompiledPolicy, EmbeddedFault, NotLoadable
from controlplane.bundles.instances import EmbeddedLimits
from controlplane.bundles.layout import DATA, WASM
from controlplane.contracts.policies import PolicyLayer
from controlplane.releases.building import build
from controlplane.releases.compiled import read_built_in, read_combination
from controlplane.sidecar import locate_opa
from tests.controlplane.bundles.inputs import generated
from tests.controlplane.bundles.rego import answered_by_opa
from tests.policies.support import POLICIES, ROOT

SIGNER = BundleSigner.generate()
PATIENT = EmbeddedLimits(seconds=60.0)

TENANT = """package tenant.batch

answers[id] := {"required": {"trusted", "awake", "near"}, "proven": proven, "ttl_seconds": 60} if {
	some package_name in {"inference", "model_access", "admin"}
	some id, facts in input[package_name]
	far := {code | some code in {"awake", "near"}; facts.subject.properties.segment == "homes"}
	proven := {code | code := "trusted"; facts.subject.properties.trust.score >= 0.8} | far
}

answers[id] := {"required": [], "proven": []} if {
	some package_name in {"gradient_submission", "enrolment"}
	some id, _ in input[package_name]
}
"""
SITE = """package site.batch

answers[id] := {"required": {"day"}, "proven": {code | code := "day"; facts.context.time > 0}, "watch": true} if {
	some _, questions in input
	some id, facts in questions
	count(facts) > 1
}
"""
TEXTS = {"site": {"reasons": {"day": {"message": "Only by day.", "remedy": "Wait."}}}}


def _layer(folder: Path, layer: PolicyLayer, text: str, data: Any = None) -> VerifiedBundle:
    (folder / layer / "batch").mkdir(parents=True)
    (folder / layer / "batch" / "batch.rego").write_text(text)
    if data is not None:
        (folder / layer / "data.json").write_text(json.dumps(data[layer]))
    made = build(locate_opa(os.environ), folder, layer)
    return _signed(made.files, layer, made.revision)


def _signed(files: Any, layer: PolicyLayer, revision: str) -> VerifiedBundle:
    return verify(SIGNER.sign(files, layer, revision), Trust.of_key(SIGNER.public_key), layer)


@pytest.fixture(scope="module")
def base() -> VerifiedBundle:
    made = read_built_in(POLICIES)
    return _signed(made.files, "base", made.revision)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return _layer(tmp_path_factory.mktemp("tenant"), "tenant", TENANT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return _layer(tmp_path_factory.mktemp("site"), "site", SITE, TEXTS)


@pytest.fixture(scope="module")
def combination() -> Iterator[CompiledPolicy]:
    found = CompiledPolicy(read_combination(), {}, PATIENT)
    yield found
    found.close()


@pytest.fixture(scope="module")
def loaded(
    base: VerifiedBundle, tenant: VerifiedBundle, site: VerifiedBundle
) -> Iterator[dict[PolicyLayer, LoadedBundle]]:
    found = {bundle.layer: LoadedBundle(bundle, PATIENT) for bundle in (base, tenant, site)}
    yield found
    for bundle in found.values():
        bundle.close()


def _questions(count: int) -> dict[str, dict[str, Any]]:
    examples = [(item.package, item.input) for item in PolicyFolder.open(POLICIES, POLICIES).examples()]
    asked: dict[str, dict[str, Any]] = {}
    for number, (package, facts) in enumerate(generated(examples, count, seed=4)):
        asked.setdefault(package, {})[str(number)] = facts
    return asked


def _as_sets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_sets(item) for name, item in value.items()}
    if isinstance(value, list):
        return sorted(value) if all(isinstance(item, str) for item in value) else [_as_sets(item) for item in value]
    return value


@pytest.mark.parametrize("expected", [("tenant",), ("site",), ("tenant", "site")], ids="+".join)
def test_layers_answer_together_as_in_opa(
    loaded: dict[PolicyLayer, LoadedBundle],
    combination: CompiledPolicy,
    base: VerifiedBundle,
    tenant: VerifiedBundle,
    site: VerifiedBundle,
    expected: tuple[PolicyLayer, ...],
    tmp_path: Path,
) -> None:
    body = json.dumps(_questions(400)).encode()
    bundles = {"base": base, "tenant": tenant, "site": site}
    active = {"ztfm": {"manifest": {"revision": base.revision}}}
    data: dict[str, Any] = {"layers": {"expected": list(expected)}, **json.loads(base.files[DATA])}
    for layer in expected:
        data |= json.loads(bundles[layer].files.get(DATA, b"{}"))
        active[layer] = {"manifest": {"revision": bundles[layer].revision}}
    for layer in ("base", *expected):
        for name, content in bundles[layer].files.items():
            if name.endswith(".rego"):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_bytes(content)
    (tmp_path / "layers.rego").write_bytes((ROOT / "opa" / "layers.rego").read_bytes())
    (tmp_path / "data.json").write_text(json.dumps({**data, "system": {"bundles": active}}))
    opas = answered_by_opa(tmp_path, "data.combined.batch", body)

    ours = EmbeddedPolicies(loaded, expected, combination).answer(body)

    assert ours.revision == opas["revision"]
    assert _as_sets(dict(ours.documents)) == _as_sets(opas["decisions"])
    allowed = [item["allow"] for item in opas["decisions"].values() if isinstance(item, dict) and "allow" in item]
    assert 0 < sum(allowed) < len(allowed)


def test_an_expected_layer_without_policies_denies_everything(
    loaded: dict[PolicyLayer, LoadedBundle], combination: CompiledPolicy
) -> None:
    policies = EmbeddedPolicies({"base": loaded["base"]}, ("tenant",), combination)
    answer = policies.answer(json.dumps(_questions(60)).encode())
    decisions = [item for item in answer.documents.values() if isinstance(item, dict) and "allow" in item]
    assert decisions
    assert not any(decision["allow"] for decision in decisions)
    assert answer.revision.endswith("+tenant:none")


def test_layers_that_cannot_be_combined_do_not_decide(loaded: dict[PolicyLayer, LoadedBundle]) -> None:
    with pytest.raises(NotLoadable):
        EmbeddedPolicies(loaded, ("tenant",), None)


def test_without_the_base_there_is_no_answer(
    loaded: dict[PolicyLayer, LoadedBundle], combination: CompiledPolicy
) -> None:
    with pytest.raises(EmbeddedFault) as caught:
        EmbeddedPolicies({"tenant": loaded["tenant"]}, ("tenant",), combination).answer(b"{}")
    assert caught.value.cause == "undefined"


def test_rules_are_told_in_order(loaded: dict[PolicyLayer, LoadedBundle]) -> None:
    answer = EmbeddedPolicies(loaded).answer(json.dumps(_questions(60)).encode())
    rules = [item["rules"] for item in answer.documents.values() if isinstance(item, dict) and "rules" in item]
    assert rules
    assert all(item == sorted(item) for item in rules)


def test_a_bundle_for_opa_alone_is_refused(base: VerifiedBundle) -> None:
    files = {name: content for name, content in base.files.items() if name != WASM}
    with pytest.raises(BundleRefused) as caught:
        LoadedBundle(_signed(files, "base", base.revision))
    assert caught.value.reason == "cannot_be_checked"
    assert "--no-wasm" in caught.value.detail


@pytest.mark.parametrize("wasm", [b"", b"\0asm", b"\0asm\1\0\0\0"])
def test_a_bundle_with_something_else_compiled_is_refused(base: VerifiedBundle, wasm: bytes) -> None:
    with pytest.raises(BundleRefused) as caught:
        LoadedBundle(_signed({**base.files, WASM: wasm}, "base", base.revision))
    assert caught.value.reason == "cannot_be_checked"
