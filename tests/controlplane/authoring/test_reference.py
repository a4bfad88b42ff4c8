from pathlib import Path

import pytest

from controlplane.authoring import PolicyFolder, Tools, create, write_reference

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "policy-reference.md"


@pytest.fixture(scope="module")
def text(tools: Tools, product: PolicyFolder) -> str:
    return write_reference(tools, product)


def test_the_reference_is_current(text: str) -> None:
    assert REFERENCE.read_text() == text, "run: ztfm policy docs"


def test_every_decision_reason_and_limit_is_in_it(text: str, product: PolicyFolder) -> None:
    for decision in product.decisions():
        package = decision.removeprefix("extra/")
        assert f"## {package}\n" in text
        assert f"### Input of {package}\n" in text
    for code, reason in product.reasons().items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{code}` |")]
        assert reason["message"] in row
        assert reason["remedy"] in row
        assert "](#" in row, code
    assert "| `evidence.cosine_minimum` | -0.2 | -1 to 1 |" in text


def test_a_decision_of_ones_own_is_in_it(tools: Tools, folder: PolicyFolder) -> None:
    create(tools.opa, folder, "door")
    text = write_reference(tools, folder)
    assert "## door\n" in text
    assert "[`door_granted`](#reasons)" in text
    assert "`ztfm/extra/door/policy.rego`" in text
