import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from controlplane.contracts.facts import FACTS, INPUTS
from controlplane.contracts.schemas import attributes, input_schema, main, write_schemas
from tests.controlplane.contracts.samples import FACT_SAMPLES

_TOOLS = Path(__file__).parents[3] / ".tools" / "bin" / "opa"


@pytest.fixture(scope="module")
def opa() -> str:
    found = str(_TOOLS) if _TOOLS.exists() else shutil.which("opa")
    if found is None:
        pytest.skip("no OPA here; `make setup` gets it")
    return found


def _nodes(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(inner)


@pytest.mark.parametrize("name", INPUTS)
def test_a_schema_has_no_reference_and_no_constant(name: str) -> None:
    words = {word for node in _nodes(input_schema(name)) if isinstance(node, dict) for word in node}
    assert not words & {"$ref", "$defs", "const", "default", "discriminator"}


@pytest.mark.parametrize("name", FACTS)
def test_a_schema_fits_the_facts_that_it_describes(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(input_schema(name))
    validator = jsonschema.Draft7Validator(input_schema(name))
    assert list(validator.iter_errors(FACT_SAMPLES[name])) == []
    for missing in FACT_SAMPLES[name]:
        without = {key: value for key, value in FACT_SAMPLES[name].items() if key != missing}
        assert list(validator.iter_errors(without)) != []


def test_a_schema_says_what_each_contract_says_of_its_fields() -> None:
    trust = input_schema("model_access")["properties"]["subject"]["properties"]["properties"]["properties"]["trust"]
    history = trust["properties"]["history"]["properties"]
    assert {name: field["description"].split()[0] for name, field in history.items()} == {
        "known_seconds": "for",
        "steady_seconds": "for",
        "lowest": "of",
    }
    assert attributes("What.\n\nAttributes:\n    one: first\n        of all.\n    two: `b`.\n\nRaises:\n    x: y") == {
        "one": "first of all.",
        "two": "`b`.",
    }


def test_an_unknown_decision_has_no_schema() -> None:
    with pytest.raises(KeyError):
        input_schema("everything")


def _policy(name: str, path: str) -> str:
    return "\n".join(
        [
            "# METADATA",
            "# schemas:",
            f"#   - input: schema.{name}",
            "package probe",
            "",
            "import rego.v1",
            "",
            f"found := {path}",
            "",
        ]
    )


def _check(opa: str, folder: Path, name: str, path: str) -> str:
    write_schemas(folder / "schemas")
    (folder / "probe.rego").write_text(_policy(name, path))
    command = [opa, "check", "--strict", "--schema", str(folder / "schemas"), str(folder / "probe.rego")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if result.returncode == 0 else result.stdout + result.stderr


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("model_access", "input.subject.properties.trust.score"),
        ("model_access", "input.context.round.member"),
        ("gradient_submission", "input.context.evidence.layer_shares"),
        ("gradient_submission", "input.context.capability.cause"),
        ("inference", "input.context.inference.max_output_tokens"),
        ("admin", "input.resource.properties.owner"),
        ("enrolment", "input.context.token.roles"),
        ("enrolment", "input.context.credential.key_bound"),
        ("enrolment", "input.context.certificate.serial"),
    ],
)
def test_opa_reads_the_schemas_and_knows_a_misspelt_path(opa: str, tmp_path: Path, name: str, path: str) -> None:
    assert _check(opa, tmp_path, name, path) == ""
    parent, _, _ = path.rpartition(".")
    assert "undefined ref" in _check(opa, tmp_path, name, f"{parent}.misspelt")


def test_the_command_writes_one_file_for_each_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["schemas", "--out", str(tmp_path / "a" / "b")])
    main()
    assert sorted(path.stem for path in (tmp_path / "a" / "b").iterdir()) == sorted(INPUTS)
    assert len(capsys.readouterr().out.splitlines()) == len(INPUTS)
    for name in INPUTS:
        assert json.loads((tmp_path / "a" / "b" / f"{name}.json").read_text()) == input_schema(name)
