"""What a change cannot affect is not done again, and whatever is not known is affected."""

from pathlib import Path

import pytest

from controlplane.authoring import PolicyFolder, Tools
from controlplane.authoring.affected import affected_checks, affected_tests
from controlplane.authoring.checking import CHECKS, LAYER_CHECKS
from controlplane.authoring.testing import run_tests
from tests.controlplane.authoring.breaking import replace

ALL = set(CHECKS)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("ztfm/inference/policy.rego", ALL - {"data"}),
        ("ztfm/inference/policy_test.rego", {"compile", "format", "structure", "descriptions", "lint"}),
        ("ztfm/inference/examples/denied_x.json", {"requirements", "examples"}),
        ("data/limits/data.json", {"compile", "data", "requirements", "examples"}),
        ("data/limits/limits.schema.json", {"data"}),
        ("schemas/input/inference.json", {"compile", "descriptions"}),
        (".regal/config.yaml", {"lint"}),
        (".manifest", ALL),
        ("unheard_of.json", ALL),
    ],
)
def test_a_change_affects_the_checks_that_look_at_it(changed: str, expected: set[str]) -> None:
    assert affected_checks(CHECKS, [Path(changed)]) == expected
    assert affected_checks(CHECKS, []) == set()
    assert affected_checks(CHECKS, [Path(changed), Path(".manifest")]) == ALL


def test_a_layers_own_checks_are_affected_by_its_rules_and_data() -> None:
    for changed in ("tenant/rules/hours.rego", "tenant/reasons/data.json", "tenant/examples/inference/denied_x.json"):
        assert "answers" in affected_checks(LAYER_CHECKS, [Path(changed)])
    assert "confined" in affected_checks(LAYER_CHECKS, [Path("tenant/rules/hours.rego")])


def packages(folder: PolicyFolder, *changed: str) -> set[str]:
    found = affected_tests(folder, [Path(name) for name in changed])
    return {package for some in found.values() for package in some}


def test_tests_of_what_changed_and_of_whoever_names_it_are_affected(product: PolicyFolder) -> None:
    found = packages(product, "ztfm/lib/evidence/evidence.rego")
    assert {"ztfm.lib.evidence_test", "ztfm.gradient_submission_test", "ztfm.batch_test"} <= found
    assert not {"ztfm.enrolment_test", "ztfm.inference_test", "ztfm.log_test"} & found


def test_what_tests_share_affects_whoever_names_it(product: PolicyFolder) -> None:
    found = packages(product, "ztfm/lib/samples/samples_test.rego")
    assert {"ztfm.lib.samples_test", "ztfm.enrolment_test", "ztfm.inference_test"} <= found


def test_tests_of_whoever_reads_changed_data_are_affected(product: PolicyFolder) -> None:
    found = packages(product, "data/log/data.json")
    assert {"ztfm.log_test", "ztfm.batch_test"} <= found
    assert "ztfm.enrolment_test" not in found
    assert "ztfm.lib.subject_test" in packages(product, "data/limits/data.json")


def test_what_no_test_reads_affects_none(product: PolicyFolder) -> None:
    assert packages(product, "ztfm/inference/examples/denied_x.json", "schemas/input/admin.json") == set()


def test_every_test_that_a_change_breaks_is_among_the_affected(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, "ztfm/lib/model/model.rego", "import data.data.resources", "import data.data.people as resources")
    broken = {item.file.rpartition("/")[0] for item in run_tests(tools, folder).findings if item.check == "test"}
    assert len(broken) >= 3
    affected = affected_tests(folder, [Path("ztfm/lib/model/model.rego")])
    assert broken <= {place.as_posix() for place in affected}
