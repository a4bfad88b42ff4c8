import pytest

from controlplane.contracts.decision import PolicyDecision
from tests.policies.support import Engine, Example, load_examples

EXAMPLES = load_examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.package}-{example.name}")
def test_the_sidecar_decides_an_example_as_it_says(example: Example, engine: Engine) -> None:
    document = engine.decide(example.package, example.input)
    decision = PolicyDecision.model_validate(document)
    assert (decision.allow, sorted(reason.code for reason in decision.reasons)) == (example.decision, example.reasons)
    assert decision.rules
    assert 5 <= decision.ttl_seconds <= 300 if decision.allow else decision.ttl_seconds == 0
