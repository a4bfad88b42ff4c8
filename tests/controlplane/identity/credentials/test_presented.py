"""What is presented becomes facts: what was signed and no more, each binding once, and nobody is looked for unasked."""

from typing import Any

import pytest

from controlplane.capabilities.replay import ReplayCache
from controlplane.contracts.facts.enrolment import CredentialFact
from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.documents import Resolution
from controlplane.identity.credentials.presented import Credentials
from controlplane.identity.resolving import Resolver
from controlplane.identity.resolving.key import KeyMethod
from tests.clocks import Clock
from tests.controlplane.identity.credentials.world import (
    DEVICE,
    HERE,
    ISSUER,
    NOW,
    VCT,
    issued,
    parts,
    presented,
    signed,
)


class Desk:
    """Examines as the control plane does, and says who was looked for."""

    def __init__(self, *accepted: str) -> None:
        self.clock, self.looked_for = Clock(NOW), list[str]()
        self._resolver = Resolver({"key": KeyMethod()}, clock=self.clock, timer=self.clock)
        self._accepted = accepted
        self._uses = ReplayCache(self.clock)
        self._credentials = Credentials(self._accepts, self._resolve, self._use, self.clock)

    async def _accepts(self, issuer: str) -> bool:
        return issuer in self._accepted

    async def _use(self, used: str, until: float) -> bool:
        return self._uses.use(used, until) == "first"

    async def _resolve(self, did: str) -> Resolution:
        self.looked_for.append(did)
        return await self._resolver.resolve(did)

    async def examine(self, text: str) -> tuple[CredentialFact, str]:
        found = await self._credentials.examine(text, DEVICE.public, {HERE})
        return found.fact, found.words


@pytest.fixture
def desk() -> Desk:
    return Desk(did_key(ISSUER))


async def test_what_an_accepted_issuer_says_is_known(desk: Desk) -> None:
    fact, words = await desk.examine(presented(issued(disclosable={"serial": "0042"})))
    assert (fact, words) == (
        CredentialFact(
            valid=True,
            cause="",
            issuer=did_key(ISSUER),
            vct=VCT,
            claims={"model": "hub-3", "serial": "0042"},
            key_bound=True,
            status="unstated",
            age_seconds=60.0,
            expires_at=NOW - 60 + 86_400,
        ),
        "",
    )


async def test_nobody_is_looked_for_whom_policy_does_not_accept() -> None:
    desk = Desk("did:web:other.example")
    fact, words = await desk.examine(presented(issued()))
    assert (fact.valid, fact.cause, fact.issuer, fact.claims) == (False, "issuer_unaccepted", "", {})
    assert "policy accepts nothing" in words
    assert desk.looked_for == []


async def test_an_issuer_who_cannot_be_found_signed_nothing() -> None:
    desk = Desk("did:web:issuer.invalid")
    fact, words = await desk.examine(presented(issued(issuer="did:web:issuer.invalid")))
    assert (fact.valid, fact.cause, fact.issuer) == (False, "issuer_unresolved", "")
    assert "methodNotSupported" in words


async def test_a_binding_is_used_once(desk: Desk) -> None:
    shown = presented(issued())
    assert (await desk.examine(shown))[0].valid
    fact, words = await desk.examine(shown)
    assert (fact.valid, fact.cause, fact.key_bound) == (False, "binding_replayed", False)
    assert "make a new one" in words
    assert (await desk.examine(presented(issued())))[0].valid


async def test_a_binding_that_did_not_hold_is_not_used_up(desk: Desk) -> None:
    shown = presented(issued())
    desk.clock.now = NOW - 30.0
    assert (await desk.examine(shown))[0].cause == "binding_stale"
    desk.clock.now = NOW
    assert (await desk.examine(shown))[0].valid


async def test_of_an_expired_credential_policy_is_told_what_it_said(desk: Desk) -> None:
    fact, _ = await desk.examine(presented(issued(exp=int(NOW) - 1)))
    assert (fact.valid, fact.cause, fact.key_bound) == (False, "expired", False)
    assert (fact.issuer, fact.expires_at, fact.claims) == (did_key(ISSUER), NOW - 1, {"model": "hub-3"})


async def test_a_revocation_that_would_have_to_be_looked_up_is_told(desk: Desk) -> None:
    stated = {"status_list": {"idx": 1, "uri": "https://issuer.example/lists/1"}}
    assert (await desk.examine(presented(issued(status=stated))))[0].status == "unknown"


async def test_only_short_claims_are_told(desk: Desk) -> None:
    said: dict[str, Any] = {
        "truth": False,
        "number": 2**53,
        "share": 0.5,
        "text": "é" * 256,
        "long": "x" * 257,
        "large": 2**53 + 1,
        "endless": 1e300,
        "list": ["x"],
        "object": {"a": 1},
        "nothing": None,
        "line": "a\nb",
        "half": "\ud800",
        "name with spaces": "x",
        "x" * 65: "x",
        "": "x",
    }
    fact, _ = await desk.examine(presented(issued(claims=said)))
    assert fact.valid
    assert fact.claims == {"truth": False, "number": 2**53, "share": 0.5, "text": "é" * 256}


async def test_a_credential_with_too_many_claims_is_refused(desk: Desk) -> None:
    fact, words = await desk.examine(presented(issued(claims={f"c{index}": 1 for index in range(33)})))
    assert (fact.valid, fact.cause, fact.claims) == (False, "bad_disclosure", {})
    assert "more than 32" in words


async def test_what_does_not_say_when_it_ends_is_told_as_such(desk: Desk) -> None:
    header, claims = parts(issued().partition("~")[0])
    bare = {name: value for name, value in claims.items() if name not in ("iat", "exp")}
    fact, _ = await desk.examine(presented(signed(header, bare) + "~"))
    assert (fact.valid, fact.age_seconds, fact.expires_at) == (True, None, None)
