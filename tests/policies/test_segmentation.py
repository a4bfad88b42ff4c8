"""The data of micro-segmentation, as shipped and as documented: names that are used are there, services can be read."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from controlplane.contracts.segmentation import Service
from tests.policies.support import POLICIES, ROOT


def data(name: str) -> Any:
    return json.loads((POLICIES / "data" / name / "data.json").read_text())


def documented() -> tuple[Any, Any]:
    """Return the services and the segments that docs/segmentation.md shows."""
    text = (ROOT / "docs" / "segmentation.md").read_text()
    services, segmentation = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return json.loads(services), json.loads(segmentation)


CASES = [(data("services"), data("segmentation")), documented()]


@pytest.mark.parametrize(("services", "segmentation"), CASES, ids=["shipped", "documented"])
def test_every_service_can_be_read_and_has_its_audience_alone(services: Any, segmentation: Any) -> None:
    for stated in services.values():
        Service.model_validate({name: value for name, value in stated.items() if name != "description"})
    assert max(Counter(stated["audience"] for stated in services.values()).values()) == 1


@pytest.mark.parametrize(("services", "segmentation"), CASES, ids=["shipped", "documented"])
def test_every_flow_leads_from_segments_to_services_that_there_are(services: Any, segmentation: Any) -> None:
    for flow in segmentation["flows"].values():
        assert flow["from"].keys() <= segmentation["segments"].keys()
        assert flow["to"].keys() <= services.keys()
        assert flow["sensitivities"].keys() <= data("limits")["sensitivities"].keys()
    for segment in segmentation["segments"].values():
        assert segment["zones"] == "any" or segment["zones"].keys() <= data("segments").keys()


@pytest.mark.parametrize(("name", "index"), [("services", 0), ("segmentation", 1)])
def test_what_is_shipped_and_documented_fits_its_schema_and_what_lacks_a_part_does_not(name: str, index: int) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((POLICIES / "data" / name / f"{name}.schema.json").read_text())
    for case in CASES:
        jsonschema.validate(case[index], schema)
        groups = [case[index]] if name == "services" else list(case[index].values())
        for group in groups:
            for entry in group.values():
                for part in list(entry):
                    kept = entry.pop(part)
                    with pytest.raises(jsonschema.ValidationError):
                        jsonschema.validate(case[index], schema)
                    entry[part] = kept
