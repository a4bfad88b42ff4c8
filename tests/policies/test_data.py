import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from controlplane.contracts.schemas import write_schemas
from controlplane.sidecar.bundle import is_bundled
from tests.policies.support import POLICIES, ROOT

DATA = sorted(path.parent for path in (POLICIES / "data").glob("*/data.json"))


def document(folder: Path) -> Any:
    return json.loads((folder / "data.json").read_text())


def schema(folder: Path) -> Any:
    return json.loads((folder / f"{folder.name}.schema.json").read_text())


def paths(value: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in [(*at, key), *paths(item, (*at, key))]]
    return []


def put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return new
    return {**value, path[0]: put(value[path[0]], path[1:], new)}


@pytest.mark.parametrize("folder", DATA, ids=lambda folder: folder.name)
def test_a_schema_is_one_by_its_own_draft(folder: Path) -> None:
    Draft202012Validator.check_schema(schema(folder))


@pytest.mark.parametrize("folder", DATA, ids=lambda folder: folder.name)
def test_a_schema_refuses_what_is_mistyped(folder: Path) -> None:
    validator = Draft202012Validator(schema(folder))
    assert not validator.is_valid([])
    for path in paths(document(folder)):
        assert not validator.is_valid(put(document(folder), path, None)), path


def test_an_exception_names_everything_and_waives_only_what_can_be() -> None:
    validator = Draft202012Validator(schema(POLICIES / "data" / "exceptions"))
    whole = {
        "resource": "fall-detection",
        "action": "model_access",
        "waives": {"window_open": True},
        "approver": "operator@example.org",
        "reason": "A night without trainers.",
        "from": "2025-11-01T00:00:00Z",
        "until": "2025-11-08T00:00:00Z",
    }
    assert validator.is_valid({"dev-1": {"one-week": whole}})
    for key in whole:
        assert not validator.is_valid({"dev-1": {"x": {name: value for name, value in whole.items() if name != key}}})
    for waives in ({}, {"window_open": False}, {"No Code": True}, ["window_open"]):
        assert not validator.is_valid({"dev-1": {"x": {**whole, "waives": waives}}})


def test_what_can_be_waived_is_this_as_shipped() -> None:
    assert set(document(POLICIES / "data" / "limits")["waivable"]) == {
        "attestation_fresh",
        "attestation_sufficient",
        "network_allowed",
        "requests_within_budget",
        "tokens_within_budget",
        "trust_sufficient",
        "window_open",
    }


def test_networks_are_networks() -> None:
    for name, segment in document(POLICIES / "data" / "segments").items():
        for network in segment["networks"]:
            assert ipaddress.ip_network(network).version in (4, 6), name


def test_names_that_data_refers_to_exist() -> None:
    folder = POLICIES / "data"
    segments, roles = document(folder / "segments"), document(folder / "roles")
    for resource in document(folder / "resources").values():
        assert set(resource["segments"]) <= set(segments)
        assert (
            resource["window"]["always"]
            or resource["window"]["opens_minute_utc"] < resource["window"]["closes_minute_utc"]
        )
    for segment in segments.values():
        assert set(segment["roles"]) <= set(roles)


def test_secrets_are_for_roles_segments_and_shards_that_there_are() -> None:
    folder = POLICIES / "data"
    segments, roles, models = (document(folder / name) for name in ("segments", "roles", "resources"))
    secrets = document(folder / "secrets")
    for name, secret in secrets.items():
        assert set(secret["segments"]) <= set(segments)
        assert all(set(allowed) <= set(roles) for allowed in secret["purposes"].values())
        if "shard" in secret:
            assert name == f"{secret['shard']['model']}/{secret['shard']['name']}"
            named = models[secret["shard"]["model"]].get("shards", {secret["shard"]["name"]: secret["purposes"]})
            assert named[secret["shard"]["name"]] == secret["purposes"], "who may pull a shard may have its key"
    for name, model in models.items():
        assert all(f"{name}/{shard}" in secrets for shard in model.get("shards", {}))


def test_the_input_schemas_are_those_of_the_models(tmp_path: Path) -> None:
    fresh = {path.name: path.read_text() for path in write_schemas(tmp_path)}
    kept = {path.name: path.read_text() for path in (POLICIES / "schemas" / "input").iterdir()}
    assert kept == fresh, "run: python -m controlplane.contracts.schemas --out policies/schemas/input"


def test_only_rules_and_data_are_bundled() -> None:
    bundled = {path.relative_to(POLICIES) for path in POLICIES.rglob("*") if path.is_file()}
    bundled = {path for path in bundled if is_bundled(path)}
    assert all(path.suffix == ".rego" or path.name == "data.json" for path in bundled)
    assert not any(path.name.endswith("_test.rego") for path in bundled)


def test_the_release_pin_has_the_form_that_the_installer_reads() -> None:
    pin = json.loads((ROOT / "opa" / "release.json").read_text())
    assert set(pin) == {"version", "platforms"}
    for key, platform in pin["platforms"].items():
        assert key in {"linux_x86_64", "linux_aarch64"}
        assert platform["url"].startswith(
            f"https://github.com/open-policy-agent/opa/releases/download/v{pin['version']}/"
        )
        assert len(bytes.fromhex(platform["sha256"])) == 32


def test_a_p_value_is_required_from_as_many_peers_on_as_there_is_one() -> None:
    limits, terms = document(POLICIES / "data" / "limits"), document(POLICIES / "data" / "behaviour")
    assert limits["behaviour"]["comparable_minimum"] == terms["comparable"]


def test_who_may_screen_is_named_among_the_reference_values_of_aggregators_alone() -> None:
    known = document(POLICIES / "data" / "attestation")
    strong = {
        kind: {name for name, level in of.items() if level == "hardware"} for kind, of in known["anchors"].items()
    }
    listed = document(POLICIES / "data" / "confidentiality")["tee_references"]
    assert listed
    for name in listed:
        one = known["references"][name]
        assert one["roles"] == {"aggregator": True}
        assert set(one["anchors"]) <= strong[one["kind"]]
