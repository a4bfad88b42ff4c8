"""Policy says whose keys are looked for; where it does not say, nobody's are."""

from typing import Any

import pytest

from controlplane.decisions.engine import Answer, Answered, Unanswered
from controlplane.decisions.issuers import IssuerPolicy
from tests.support import ControlPlane


class Engine:
    """Answers what it is told to."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, list[tuple[str, bytes]]()

    async def ask(self, package: str, facts: bytes) -> Answer:
        self.asked.append((package, facts))
        return self.answer


async def test_an_issuer_is_of_interest_when_policy_says_so() -> None:
    engine = Engine(Answered({"accepted": True}, "rev"))
    assert await IssuerPolicy(engine).accepts("did:web:issuer.example")
    assert engine.asked == [("issuers", b'{"issuer":"did:web:issuer.example"}')]


@pytest.mark.parametrize("document", [{"accepted": False}, {"accepted": 1}, {"accepted": "true"}, {}, None, [], True])
async def test_any_other_answer_is_no(document: Any) -> None:
    assert not await IssuerPolicy(Engine(Answered(document, "rev"))).accepts("did:web:issuer.example")


async def test_where_policy_cannot_be_asked_nobody_is_of_interest() -> None:
    assert not await IssuerPolicy(Engine(Unanswered("deadline"))).accepts("did:web:issuer.example")


@pytest.mark.parametrize("issuer", ["x" * 257, "did:web:a\nb"])
async def test_what_is_no_name_is_not_asked_about(issuer: str) -> None:
    engine = Engine(Answered({"accepted": True}, "rev"))
    assert not await IssuerPolicy(engine).accepts(issuer)
    assert engine.asked == []


def test_the_shipped_policies_accept_nobody_that_can_be(plane: ControlPlane) -> None:
    policy = plane.services.identity.credentials._accepts
    assert plane.run(policy("did:web:issuer.invalid"))  # type: ignore[arg-type]
    for issuer in ("did:web:issuer.example", "did:key:zDn", ""):
        assert not plane.run(policy(issuer))  # type: ignore[arg-type]
