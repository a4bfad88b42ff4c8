"""What a proxy is answered, and where nothing may be answered that lets a request on."""

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapters.gateway.authorizing import Answer, Authorizer, Kept
from adapters.gateway.interfaces import Exhausted, Reservation
from adapters.gateway.passing import UPSTREAM_HEADERS
from adapters.web import EnforcementPoint, Rule
from adapters.web.admission import Admitted
from adapters.web.presented import Asked
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.capability import Constraints
from controlplane.jose.keys import DeviceKey
from tests.adapters.web.conftest import AUDIENCE, Issuer, publishing
from tests.clocks import Clock

URL = "https://models.example"
RULES = (
    Rule("inference", "intents", "/v1/infer", ("POST",)),
    Rule("model_access", "intents", "/weights", ("GET",), purpose="serving"),
    Rule("gradient_submission", "intents", "/rounds/{round}", ("POST",)),
)


@dataclass
class Counted:
    """Budgets that say what a test has them say."""

    says: Reservation | Exhausted | Exception
    asked: list[tuple[int, int]] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    async def reserve(self, admitted: Admitted, prompt_tokens: int, max_output_tokens: int) -> Reservation | Exhausted:
        self.asked.append((prompt_tokens, max_output_tokens))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        self.settled.append(tokens)


@dataclass
class Desk:
    """An authorizer, and a device that asks."""

    issuer: Issuer
    authorizer: Authorizer
    outcomes: Counter[tuple[str, str]]
    device: DeviceKey = field(default_factory=DeviceKey.generate)

    async def ask(
        self,
        action: Any = "inference",
        target: tuple[str, str] = ("POST", "/v1/infer"),
        query_bytes: int = 0,
        **limits: Any,
    ) -> Answer:
        token, (method, path) = self.issuer.mint(self.device, action, **limits), target
        proof = make_proof(self.device, method=method, url=URL + path, now=self.issuer.clock(), access_token=token)
        headers = {"authorization": [f"DPoP {token}"], "dpop": [proof], "content-length": ["300"]}
        return await self.authorizer.authorize(Asked(method, path, headers, query_bytes=query_bytes))


@asynccontextmanager
async def desk(keeps: Sequence[Kept] = (), budgets: Counted | None = None) -> AsyncIterator[Desk]:
    async with publishing(Clock()) as issuer:
        outcomes = Counter[tuple[str, str]]()
        point = EnforcementPoint(
            issuer.url,
            audience=AUDIENCE,
            public_url=URL,
            rules=RULES,
            exempt=["/healthz"],
            on_outcome=lambda action, outcome: outcomes.update([(action, outcome)]),
            clock=issuer.clock,
        )
        yield Desk(issuer, Authorizer(point, keeps=keeps, budgets=budgets), outcomes)
        await point.close()


@pytest.mark.parametrize(
    ("limits", "keeps", "status"),
    [
        ({"detail": "full"}, [], 200),
        ({"detail": "full", "max_output_tokens": 5}, [], 403),
        ({"detail": "full", "max_output_tokens": 5}, ["max_output_tokens"], 200),
        ({"detail": "full", "max_output_tokens": 0}, [], 403),
        ({"detail": "label_only"}, ["max_output_tokens"], 403),
        ({"detail": "label_only"}, ["detail"], 200),
        ({}, [], 403),
        ({}, ["detail"], 200),
        ({"detail": "full", "max_bytes": 1000}, [], 403),
        ({"detail": "full", "epsilon": 1.0}, ["max_output_tokens", "detail", "max_bytes"], 403),
    ],
)
async def test_a_limit_that_nobody_keeps_is_not_forgotten_on_the_way(
    limits: dict[str, Any], keeps: list[Kept], status: int
) -> None:
    async with desk(keeps) as found:
        answer = await found.ask(**limits)
        assert answer.status == status, answer
        if status == 403:
            assert "nothing at this endpoint keeps" in json.loads(answer.body)["detail"]


async def test_limits_of_pulls_and_submissions_are_kept_or_refused() -> None:
    async with desk() as found:
        pull: Any = {"action": "model_access", "target": ("GET", "/weights"), "purpose": "serving"}
        assert (await found.ask(**pull)).status == 200
        assert (await found.ask(**pull, max_bytes=1000)).status == 403, "nobody here sees how large the answer is"
        sent: Any = {"action": "gradient_submission", "target": ("POST", "/rounds/r1"), "round_id": "r1"}
        assert (await found.ask(**sent, max_bytes=300)).status == 200
        assert (await found.ask(**sent, max_bytes=299)).status == 403
        for limit in ({"max_norm": 1.0}, {"confidentiality": "grouped"}, {"group": "sha256:" + "a" * 64}):
            assert (await found.ask(**sent, **limit)).status == 403, limit


def test_each_limit_that_there_is_was_thought_of() -> None:
    kept = {"round_id", "model_digest", "purpose", "one_time", "segment", "shards", "sealed_to"}
    refused = {"max_output_tokens", "detail", "max_bytes", "max_norm", "epsilon", "privacy", "confidentiality", "group"}
    assert set(Constraints.model_fields) == kept | refused, "say in authorizing.py who keeps the new one"


async def test_the_upstream_is_told_under_every_name_even_of_an_exempt_path() -> None:
    async with desk(["detail", "max_output_tokens"]) as found:
        answer = await found.ask(max_output_tokens=5)
        assert tuple(answer.headers) == UPSTREAM_HEADERS
        assert (answer.headers["Ztfm-Detail"], answer.headers["Ztfm-Max-Output-Tokens"]) == ("label_only", "5")
        assert answer.headers["Ztfm-Subject"] == f"dev-{found.device.thumbprint}"
        exempt = await found.authorizer.authorize(Asked("GET", "/healthz", {"authorization": ["DPoP x"]}))
        assert (exempt.status, dict(exempt.headers)) == (200, dict.fromkeys(UPSTREAM_HEADERS, ""))


async def test_a_request_is_taken_whole_from_the_budget_before_it_goes_on() -> None:
    budgets = Counted(Reservation("r", 364, 0.0))
    async with desk(["max_output_tokens"], budgets) as found:
        assert (await found.ask(detail="full", max_output_tokens=64)).status == 200
        assert (budgets.asked, budgets.settled) == ([(300, 64)], [364])
        assert (await found.ask(detail="full", max_output_tokens=64, epsilon=1.0)).status == 403
        assert len(budgets.asked) == 1, "what is refused costs nothing"
        assert (await found.ask(detail="full", max_output_tokens=64, query_bytes=40)).status == 200
        assert budgets.asked[1:] == [(340, 64)], "a prompt in the query is one too"


async def test_without_a_budget_nothing_goes_on() -> None:
    for says, status, retry in (
        (Exhausted("model", 41.6), 429, "42"),
        (Exhausted("unknown", 1.0), 503, "1"),
        (RuntimeError("broken"), 503, "1"),
    ):
        async with desk(budgets=Counted(says)) as found:
            answer = await found.ask(detail="full")
            assert (answer.status, answer.headers["Retry-After"]) == (status, retry)


async def test_what_is_refused_at_the_last_is_not_counted_as_allowed() -> None:
    for says, cause in ((Exhausted("model", 1.0), "budget"), (Exhausted("unknown", 1.0), "undecided")):
        async with desk(budgets=Counted(says)) as found:
            await found.ask(detail="full")
            assert found.outcomes == {("inference", cause): 1}
    async with desk(budgets=Counted(RuntimeError("broken"))) as found:
        await found.ask(detail="full")
        await found.ask(detail="label_only")
        assert found.outcomes == {("inference", "undecided"): 1, ("inference", "limit_not_kept"): 1}


async def test_a_fault_is_logged_without_what_was_shown_and_lets_nothing_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ztfm")
    async with desk(budgets=Counted(RuntimeError("broken"))) as found:
        assert (await found.ask(detail="full")).status == 503
    assert "no budget could be asked" in caplog.text
    assert "DPoP" not in caplog.text
