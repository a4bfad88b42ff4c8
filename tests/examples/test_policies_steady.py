"""The example of a requirement of one's own: laid over the product's policies as its page says, it holds."""

import os
from pathlib import Path

import pytest

from controlplane.authoring import Tools, check, run_tests
from controlplane.authoring.checking import check_data
from controlplane.authoring.deciding import check_requirements
from controlplane.sidecar import locate_opa
from tests.examples.steady import laid_over


@pytest.fixture(scope="module")
def tools() -> Tools:
    return Tools(locate_opa(os.environ).path)


def test_the_requirement_holds_and_its_tests_pass(tools: Tools, tmp_path: Path) -> None:
    folder = laid_over(tmp_path / "my-policies")
    assert [item for done in check(tools, folder, lint=False) for item in done.findings] == []
    assert run_tests(tools, folder).findings == []


def test_what_is_forgotten_is_named_by_the_check(tools: Tools, tmp_path: Path) -> None:
    folder = laid_over(tmp_path / "my-policies", leave_out="data/reasons/data.json")
    assert "The reason trust_steady has no text." in {item.message for item in check_requirements(tools, folder)}
    assert "trust_steady can be waived, and no reason has this code." in {
        item.message for item in check_data(tools, folder)
    }
