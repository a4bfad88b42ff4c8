"""Rounds of which the aggregator sees sums of groups alone, with a real control plane."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.credentials import Credentials
from adapters.errors import Exposing
from adapters.guard import Guard, Member, SealedRound
from adapters.guard.leading import MemberClient
from adapters.guard.summing import Bounds, GroupServer
from adapters.hiding import asked_confidentiality
from adapters.pytorch import GuardedRound
from adapters.secureaggregation.signing import is_named_after
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import Resource
from controlplane.contracts.capability import CapabilityContext
from tests.adapters.conftest import AUDIENCE, update_of
from tests.adapters.secureaggregation.parties import Parties

Enrol = Callable[..., Member]
State = dict[str, Tensor]

MODEL = "keyboard-suggestions"
GROUP = 8


@pytest.fixture
def guard(enrol: Enrol) -> Guard:
    return Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.5)


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(4 * GROUP)]


def run_round(guard: Guard, state: State, members: list[Member], updates: dict[int, State], seed: int = 0) -> State:
    with GuardedRound(guard, state, members) as guarded:
        for number, member in enumerate(guarded.allowed()):
            guarded.submit(member, updates.get(number) or update_of(state, seed + number), 10)
        return guarded.aggregate()


def test_a_round_moves_the_state_by_the_mean_of_updates_that_nobody_saw(
    guard: Guard, members: list[Member], state: State
) -> None:
    after = run_round(guard, state, members, {})
    mean = torch.stack([update_of(state, number)["weight"] for number in range(len(members))]).mean(dim=0)
    torch.testing.assert_close(after["weight"], state["weight"] + mean, rtol=0.0, atol=1e-6)
    report = guard.report.rounds[-1]
    assert (report.submitted, report.accepted) == (len(members), len(members))
    assert guard.report.sums == {"done": 4}
    run_round(guard, after, members, {}, seed=100)
    assert guard.report.rounds[-1].accepted == len(members), "what was seen of the first round is not held against it"


def test_the_group_of_a_liar_is_refused_whole(guard: Guard, members: list[Member], state: State) -> None:
    flipped = {name: -8 * tensor for name, tensor in update_of(state, 0).items()}
    run_round(guard, state, members, {0: flipped})
    report = guard.report.rounds[-1]
    refused = [name for name, verdict in report.verdicts.items() if not verdict.decision]
    assert members[0].id in refused
    assert len(refused) == GROUP
    assert report.accepted == len(members) - GROUP


def test_an_update_that_cannot_be_summed_is_left_out(guard: Guard, members: list[Member], state: State) -> None:
    broken = {"weight": torch.full((8, 4), float("nan")), "bias": torch.zeros(8)}
    run_round(guard, state, members, {0: broken})
    assert guard.report.rounds[-1].accepted == len(members) - 1


def test_a_backend_that_shows_updates_opens_no_round(guard: Guard, members: list[Member], state: State) -> None:
    with pytest.raises(Exposing, match="secure sums"):
        guard.seal(state, [member.id for member in members])


def test_a_device_sends_no_update_that_should_be_summed(guard: Guard, members: list[Member], state: State) -> None:
    sealed = guard.seal(state, [member.id for member in members[: 2 * GROUP]], sums=True)
    with pytest.raises(Exposing, match="summed securely"):
        members[0].submit(sealed.terms, f"sha256:{'0' * 64}")
    assert members[0].submit_masked(sealed.terms, f"sha256:{'0' * 64}").subject == members[0].id


def test_masked_values_without_their_capability_are_not_added(
    guard: Guard, members: list[Member], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = count()
    shown = MemberClient.mask

    def mask(self: MemberClient, *given: Any) -> Any:
        masked = shown(self, *given)
        if next(numbers) == 0:
            self._server.show(self._member.id, Credentials("dev-x", "a", "b"))
        return masked

    monkeypatch.setattr(MemberClient, "mask", mask)
    run_round(guard, state, members, {})
    report = guard.report.rounds[-1]
    assert report.accepted == len(members) - 1
    assert report.dropped["gate", "proof_missing"] == 1


def test_what_is_shown_after_masked_values_were_added_is_not_what_they_are_reported_with() -> None:
    verified = []

    def verify(credentials: Credentials, digest: str, size_bytes: int) -> Refused | None:
        verified.append(credentials.capability)
        return None if credentials.capability == "good" else Refused("bad_signature", "It does not hold.")

    parties = Parties(4)
    server = GroupServer("group-0", parties.session, parties.names, is_named_after, verify)
    parties.server = server
    parties.advertise().share()
    name = parties.names[0]
    masked = parties.clients[name].mask(parties.deliveries[name], parties.words(name))
    answers = []
    for capability in ("bad", "good", "later"):
        server.show(name, Credentials(name, capability, "proof"))
        answers.append(server.take_masked(name, masked))
    assert answers == ["not_signed", "", "twice"]
    assert verified == ["bad", "good"]
    assert server.credentials() == {name: Credentials(name, "good", "proof")}
    assert server.refused == {}


def test_a_device_is_summed_with_the_group_that_the_control_plane_put_it_into_alone(
    guard: Guard, members: list[Member], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    fair = Guard.seal

    def seal(self: Guard, *given: Any, **options: Any) -> SealedRound:
        sealed = fair(self, *given, **options)
        first, second, *others = sealed.groups
        return replace(sealed, groups=(tuple(sorted((*first[1:], second[0]))), (first[0], *second[1:]), *others))

    monkeypatch.setattr(Guard, "seal", seal)
    run_round(guard, state, members, {})
    assert guard.report.sums == {"done": 2, "too_few": 2}


@pytest.mark.parametrize("text", ["", "a.b.c", "e30.e30.c2ln", "no token at all"])
def test_a_capability_that_cannot_be_read_shows_nothing(text: str) -> None:
    assert asked_confidentiality(text) == "grouped"


def test_a_capability_of_a_plain_model_says_so(enrol: Enrol, guard: Guard) -> None:
    member = enrol("trainer")
    plain = Guard(guard._plane, audience=AUDIENCE, model="smart-home-intents")
    sealed = plain.seal({"weight": torch.zeros(3)}, [member.id])
    grant = member.plane.capability(
        "gradient_submission",
        Resource(type="model", id="smart-home-intents"),
        AUDIENCE,
        CapabilityContext(round_id=sealed.terms.round_id),
    )
    assert asked_confidentiality(grant.require().access_token) == "plain"
    assert Bounds().bits == 32
