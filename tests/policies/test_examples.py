import pytest

from controlplane.contracts.decision import PolicyDecision
from controlplane.contracts.facts import FACTS
from tests.policies.support import Engine, Example, load_examples

EXAMPLES = load_examples()
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.package}-{example.name}")


def test_every_decision_has_an_allowed_and_a_denied_example() -> None:
    # What `other` allows, a package allows that a policy author adds; the product has none.
    assert {(example.package, example.decision) for example in EXAMPLES} == {
        (package, decision) for package in FACTS for decision in (True, False)
    } - {("other", True)}


@each
def test_an_example_fits_the_contract(example: Example) -> None:
    FACTS[example.package].model_validate(example.input)


@each
def test_an_example_is_decided_as_it_says(example: Example, engine: Engine) -> None:
    document = engine.decide(example.package, example.input)
    decision = PolicyDecision.model_validate(document)
    assert (decision.allow, sorted(reason.code for reason in decision.reasons)) == (example.decision, example.reasons)
    assert decision.rules
    assert 5 <= decision.ttl_seconds <= 300 if decision.allow else decision.ttl_seconds == 0
    assert all(reason.message.endswith(".") and reason.remedy.endswith(".") for reason in decision.reasons)


@each
def test_a_file_is_named_after_its_decision(example: Example) -> None:
    assert example.name.startswith("allowed_" if example.decision else "denied_")
    assert example.title.endswith(".")
