"""The reference values that are shown as examples are of the form of the data that policy reads."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from controlplane.attestation.plugging import BUILT_IN
from controlplane.contracts.attestation import TrustVector
from controlplane.sidecar.folders import product_folder

SHOWN = json.loads((Path(__file__).resolve().parents[2] / "examples/attestation/references.json").read_text())


def test_the_example_fits_the_schema_of_the_data() -> None:
    schema = json.loads((product_folder("policies") / "data/attestation/attestation.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(SHOWN)) == []


def test_each_entry_is_of_a_kind_and_a_root_that_count() -> None:
    for name, values in SHOWN["references"].items():
        assert values["kind"] in BUILT_IN, name
        assert values["anchors"].keys() <= SHOWN["anchors"][values["kind"]].keys(), name
        assert TrustVector.model_validate(values["vector"]).hardware == "affirming", name
