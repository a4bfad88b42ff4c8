"""The seam against a real control plane: what holds passes, what does not is a value, counted."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.errors import Denied, Unavailable
from adapters.guard import Credentials, Gated, Guard, Introduction, Member, Refused, SealedRound, Submission
from adapters.screening import update_digest
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import SigningKey
from tests.adapters.conftest import AUDIENCE, update_of
from tests.pausing import pause, resume
from tests.support import MODEL, ControlPlane, running, wait_until

Enrol = Callable[..., Member]
State = dict[str, Tensor]


def cause_of(found: object) -> str:
    assert isinstance(found, Refused), found
    return found.cause


def submission(member: Member, sealed: SealedRound, update: dict[str, Tensor], examples: int = 10) -> Submission:
    digest = update_digest(update, sealed.manifest)
    return Submission(member.id, update, examples, member.submit(sealed.terms, digest))


def causes(gated: Gated) -> list[str]:
    return [ruling.cause for ruling in gated.rulings]


class Cohort:
    """A sealed round with members that have updates to send."""

    def __init__(self, guard: Guard, enrol: Enrol, state: State, size: int = 5) -> None:
        self.guard = guard
        self.members = [enrol("trainer") for _ in range(size)]
        self.sealed = guard.seal(state, [member.id for member in self.members])
        self.updates = [update_of(state, seed) for seed in range(size)]

    def submissions(self) -> list[Submission]:
        pairs = zip(self.members, self.updates, strict=True)
        return [submission(member, self.sealed, update) for member, update in pairs]


@pytest.fixture
def cohort(guard: Guard, enrol: Enrol, state: State) -> Cohort:
    return Cohort(guard, enrol, state)


def test_a_device_is_known_by_its_key(guard: Guard, enrol: Enrol) -> None:
    member = enrol("trainer")
    assert guard.identify(member.introduce(AUDIENCE)) == member.id


def test_nobody_has_anothers_name(guard: Guard, enrol: Enrol) -> None:
    honest, thief = enrol("trainer"), enrol("trainer")
    stolen = Introduction(honest.id, thief.introduce(AUDIENCE).proof)
    assert cause_of(guard.identify(stolen)) == "wrong_subject"


def test_an_introduction_is_heard_once_and_here_alone(guard: Guard, enrol: Enrol) -> None:
    member = enrol("trainer")
    introduction = member.introduce(AUDIENCE)
    guard.identify(introduction)
    assert cause_of(guard.identify(introduction)) == "proof_replayed"
    assert cause_of(guard.identify(member.introduce("elsewhere"))) == "proof_wrong_target"
    assert cause_of(guard.identify(Introduction(member.id, "rubbish"))) == "proof_malformed"


def test_only_those_who_are_invited_are_admitted(plane: ControlPlane, enrol: Enrol) -> None:
    guard = Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL, members=["dev-a", "dev-b"])
    assert guard.admit(["dev-b", "dev-c", "dev-b", "no name!"]) == ["dev-b"]
    assert guard.report.drops["admit", "not_invited"] == 2


def test_a_pull_that_holds_is_allowed(cohort: Cohort) -> None:
    member = cohort.members[0]
    assert cohort.guard.authorize_pull(cohort.sealed, member.pull(cohort.sealed.terms)) == member.id
    assert cohort.guard.report.pulls["allowed"] == 1


def test_a_pull_is_refused_for_another_round_or_other_weights(cohort: Cohort, state: State) -> None:
    member, guard = cohort.members[0], cohort.guard
    credentials = member.pull(cohort.sealed.terms)
    moved = {name: tensor + 1 for name, tensor in state.items()}
    other = guard.seal(moved, [member.id])
    assert cause_of(guard.authorize_pull(other, credentials)) == "wrong_round"
    disguised = replace(other, terms=replace(other.terms, round_id=cohort.sealed.terms.round_id))
    assert cause_of(guard.authorize_pull(disguised, credentials)) == "wrong_digest"


def test_a_pull_is_refused_with_anothers_capability_or_twice(cohort: Cohort) -> None:
    owner, thief = cohort.members[:2]
    guard, terms = cohort.guard, cohort.sealed.terms
    stolen = owner.pull(terms)
    assert cause_of(guard.authorize_pull(cohort.sealed, replace(stolen, subject=thief.id))) == "wrong_subject"
    url = f"urn:ztfm:{AUDIENCE}:{terms.round_id}"
    proof = make_proof(thief.key, method="PULL", url=url, now=time.time(), access_token=stolen.capability)
    assert cause_of(guard.authorize_pull(cohort.sealed, replace(stolen, proof=proof))) == "wrong_key"
    assert guard.authorize_pull(cohort.sealed, stolen) == owner.id
    assert cause_of(guard.authorize_pull(cohort.sealed, stolen)) == "proof_replayed"
    assert guard.report.pulls == {"allowed": 1, "wrong_subject": 1, "wrong_key": 1, "proof_replayed": 1}


def test_a_pull_is_refused_with_a_capability_to_submit(cohort: Cohort) -> None:
    member = cohort.members[0]
    wrong = member.submit(cohort.sealed.terms, "sha256:" + "0" * 64)
    assert cause_of(cohort.guard.authorize_pull(cohort.sealed, wrong)) == "wrong_action"


def test_a_stranger_gets_no_pull(cohort: Cohort, enrol: Enrol) -> None:
    with pytest.raises(Denied) as caught:
        enrol("trainer").pull(cohort.sealed.terms)
    assert [reason.code for reason in caught.value.reasons] == ["round_member"]


def test_honest_updates_are_accepted_with_what_they_weigh(cohort: Cohort) -> None:
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions())
    assert causes(gated) == [""] * 5
    assert [ruling.weight for ruling in gated.rulings] == [10] * 5
    assert all(ruling.verdict and ruling.verdict.decision for ruling in gated.rulings)
    report = cohort.guard.latest()
    assert report is not None
    assert (report.members, report.submitted, report.accepted, report.clipped) == (5, 5, 5, 0)


def test_an_update_that_points_away_is_denied_by_policy(cohort: Cohort) -> None:
    cohort.updates[4] = {name: -tensor for name, tensor in cohort.updates[4].items()}
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions())
    assert [ruling.accepted for ruling in gated.rulings] == [True, True, True, True, False]
    verdict = gated.rulings[4].verdict
    assert verdict is not None
    assert "update_aligned" in {reason.code for reason in verdict.reasons}


def test_a_large_update_is_clipped_to_the_bound(cohort: Cohort) -> None:
    cohort.updates[4] = {name: 1.6 * tensor for name, tensor in cohort.updates[4].items()}
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions())
    large = gated.rulings[4]
    assert large.accepted
    assert large.verdict is not None
    assert large.evidence is not None
    assert large.update is not None
    bound = large.verdict.clip_norm_ratio
    assert bound is not None
    assert large.scale == pytest.approx(bound / large.evidence.norm_ratio)
    kept = sum(float(tensor.square().sum()) for tensor in large.update.values()) ** 0.5
    assert kept == pytest.approx(large.evidence.norm * large.scale, rel=1e-5)
    assert [ruling.scale for ruling in gated.rulings[:4]] == [1.0] * 4


def test_a_claim_of_many_examples_does_not_outweigh_the_others(cohort: Cohort) -> None:
    sent = cohort.submissions()
    sent[4] = replace(sent[4], examples=50_000)
    assert [ruling.weight for ruling in cohort.guard.gate(cohort.sealed, sent).rulings] == [10, 10, 10, 10, 100]


def test_a_submission_is_accepted_once(cohort: Cohort) -> None:
    sent = cohort.submissions()
    gated = cohort.guard.gate(cohort.sealed, [*sent, sent[0]])
    assert causes(gated) == ["", "", "", "", "", "replayed"]
    again = cohort.guard.gate(cohort.sealed, [sent[1]])
    assert causes(again) == ["proof_replayed"]
    assert cohort.guard.report.updates["replayed"] == 1


def test_a_capability_with_a_second_proof_is_still_used_once(cohort: Cohort) -> None:
    sent, member = cohort.submissions(), cohort.members[0]
    cohort.guard.gate(cohort.sealed, sent)
    credentials = sent[0].credentials
    assert credentials is not None
    proof = make_proof(
        member.key,
        method="SUBMIT",
        url=f"urn:ztfm:{AUDIENCE}:{cohort.sealed.terms.round_id}",
        now=time.time(),
        access_token=credentials.capability,
        digest=update_digest(sent[0].update, cohort.sealed.manifest),
    )
    again = replace(sent[0], credentials=replace(credentials, proof=proof))
    assert causes(cohort.guard.gate(cohort.sealed, [again])) == ["replayed"]


def test_another_guard_learns_of_a_used_capability_from_the_control_plane(
    cohort: Cohort, enrol: Enrol, plane: ControlPlane
) -> None:
    sent = cohort.submissions()
    cohort.guard.gate(cohort.sealed, sent)
    forgetful = Guard(cohort.guard._plane, audience=AUDIENCE, model=MODEL)
    gated = forgetful.gate(cohort.sealed, sent)
    assert gated.accepted == []
    missing = [{reason.code for reason in ruling.verdict.reasons} for ruling in gated.rulings if ruling.verdict]
    assert ["capability_unused" in codes for codes in missing] == [True] * 5


def test_anothers_credentials_are_refused(cohort: Cohort) -> None:
    sent = cohort.submissions()
    stolen = replace(sent[0], credentials=sent[1].credentials)
    disguised = Credentials(cohort.members[0].id, sent[2].credentials.capability, sent[2].credentials.proof)  # type: ignore[union-attr]
    gated = cohort.guard.gate(cohort.sealed, [stolen, replace(sent[0], credentials=disguised)])
    assert causes(gated) == ["wrong_subject", "wrong_subject"]


def test_what_a_thief_presents_does_not_use_up_the_owners_capability(cohort: Cohort) -> None:
    sent = cohort.submissions()
    theft = replace(sent[0], credentials=sent[1].credentials)
    assert causes(cohort.guard.gate(cohort.sealed, [theft, *sent[1:]])) == ["wrong_subject", "", "", "", ""]


def test_an_update_that_was_changed_on_its_way_is_refused(cohort: Cohort) -> None:
    sent = cohort.submissions()
    tampered = {name: tensor.clone() for name, tensor in sent[0].update.items() if isinstance(tensor, Tensor)}
    tampered["bias"][0] += 1e-6
    gated = cohort.guard.gate(cohort.sealed, [replace(sent[0], update=tampered), *sent[1:]])
    assert causes(gated) == ["wrong_digest", "", "", "", ""]


def test_a_submission_to_another_round_is_refused(cohort: Cohort, state: State) -> None:
    sent = cohort.submissions()
    other = cohort.guard.seal(state, [member.id for member in cohort.members])
    assert causes(cohort.guard.gate(other, sent)) == ["wrong_round"] * 5


def test_an_expired_capability_is_refused_and_the_control_plane_counts_it(plane: ControlPlane, enrol: Enrol) -> None:
    offset = 0.0
    guard = Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL, clock=lambda: time.time() + offset)
    member, state = enrol("trainer"), {"weight": torch.ones(4)}
    sealed = guard.seal(state, [member.id])
    sent = submission(member, sealed, update_of(state, 1))
    before = plane.metric("ztfm_capabilities_refused_total", cause="expired")
    offset = 400.0
    gated = guard.gate(sealed, [sent])
    assert causes(gated) == ["expired"]
    assert gated.rulings[0].evidence is None
    assert plane.metric("ztfm_capabilities_refused_total", cause="expired") == before + 1
    assert guard.report.updates == {"expired": 1}


def test_stale_credentials_are_noticed_before_they_are_used(cohort: Cohort) -> None:
    sent = cohort.submissions()[0].credentials
    assert sent is not None
    assert not cohort.guard.is_stale(sent)
    for rubbish in ("", "a.b.c", "é.é.é"):
        assert not cohort.guard.is_stale(replace(sent, capability=rubbish))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda update: {**update, "bias": torch.full((8,), float("nan"))},
        lambda update: {**update, "bias": torch.full((8,), float("inf"))},
        lambda update: {**update, "bias": torch.zeros(9)},
        lambda update: {**update, "bias": torch.zeros(8, dtype=torch.float64)},
        lambda update: {**update, "bias": None},
        lambda update: {**update, "more": torch.zeros(1)},
        lambda update: {"bias": update["bias"]},
        lambda update: {name: torch.zeros_like(tensor) for name, tensor in update.items()},
        lambda update: {name: tensor * 1e30 for name, tensor in update.items()},
        lambda _: {},
    ],
    ids=["nan", "inf", "shape", "dtype", "no tensor", "another", "missing", "zero", "giant", "empty"],
)
def test_an_update_that_cannot_be_screened_is_denied_and_the_round_goes_on(
    cohort: Cohort, spoil: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    cohort.updates[0] = spoil(cohort.updates[0])
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions())
    assert [ruling.accepted for ruling in gated.rulings] == [False, True, True, True, True]


@pytest.mark.parametrize("examples", [-1, 0, True, None, 2.5, "many", 10**30], ids=str)
def test_a_claim_that_is_no_number_of_examples_is_denied(cohort: Cohort, examples: object) -> None:
    sent = cohort.submissions()
    sent[0] = replace(sent[0], examples=examples)  # type: ignore[arg-type]
    assert [ruling.accepted for ruling in cohort.guard.gate(cohort.sealed, sent).rulings] == [
        False,
        True,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("subject", ["", "no name!", "x" * 500, "dev-nobody"])
def test_a_submission_under_an_unknown_name_is_refused(cohort: Cohort, subject: str) -> None:
    sent = cohort.submissions()
    stranger = replace(sent[0], subject=subject, credentials=Credentials(subject, "t" * 9000, ""))
    gated = cohort.guard.gate(cohort.sealed, [stranger, *sent])
    assert causes(gated) == ["wrong_subject", "", "", "", "", ""]


def test_an_update_without_credentials_is_refused(cohort: Cohort) -> None:
    sent = replace(cohort.submissions()[0], credentials=None)
    assert causes(cohort.guard.gate(cohort.sealed, [sent])) == ["proof_missing"]


def test_a_round_without_submissions_asks_nobody(cohort: Cohort) -> None:
    assert cohort.guard.gate(cohort.sealed, []).rulings == ()
    assert cohort.guard.gate(cohort.sealed, []).mean() is None


def test_the_mean_is_weighted_by_examples(cohort: Cohort) -> None:
    sent = cohort.submissions()
    sent[0] = replace(sent[0], examples=30)
    mean = cohort.guard.gate(cohort.sealed, sent).mean()
    assert mean is not None
    weights = [3 / 7, 1 / 7, 1 / 7, 1 / 7, 1 / 7]
    expected = sum(weight * update["bias"] for weight, update in zip(weights, cohort.updates, strict=True))
    torch.testing.assert_close(mean["bias"], expected)


def test_a_reference_that_does_not_fit_is_the_jobs_own_fault(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="reference"):
        cohort.guard.gate(cohort.sealed, cohort.submissions(), reference={"bias": torch.zeros(3)})


def test_a_reference_update_is_what_updates_are_compared_with(cohort: Cohort, state: State) -> None:
    against = {name: -tensor for name, tensor in update_of(state, 99).items()}
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions(), reference=against)
    assert not gated.accepted
    assert {ruling.evidence.reference for ruling in gated.rulings if ruling.evidence} == {"root"}


def test_too_few_updates_to_compare_are_not_held_against_anybody(cohort: Cohort, plane: ControlPlane) -> None:
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions()[:3])
    assert causes(gated) == ["cohort_too_small"] * 3
    assert all(ruling.verdict and ruling.verdict.trust is None for ruling in gated.rulings)
    device = plane.run(plane.services.registry.get(cohort.members[0].id))
    assert device is not None
    assert (device.trust.score, device.status) == (0.6, "active")


def test_with_a_reference_one_update_can_be_judged(cohort: Cohort, state: State) -> None:
    gated = cohort.guard.gate(cohort.sealed, cohort.submissions()[:1], reference=update_of(state, 99))
    assert causes(gated) == [""]


def test_a_guard_is_opened_from_the_folder_of_an_enrolled_aggregator(
    plane: ControlPlane, enrol: Enrol, tmp_path: Path, state: State
) -> None:
    token = plane.token(["aggregator"], "core")
    Member.enrol(tmp_path / "own", plane.url, token, roles=["aggregator"], segment="core").close()
    with Guard.open(tmp_path / "own", audience=AUDIENCE, model=MODEL, run="mine") as guard:
        member = enrol("trainer")
        sealed = guard.seal(state, [member.id], label="train-1")
        assert sealed.terms.round_id == "mine-1-train-1"
        assert guard.authorize_pull(sealed, member.pull(sealed.terms)) == member.id
        assert guard.latest() is None


@pytest.mark.parametrize("audience", ["two words", "aggregator-1\n", "", "\x00", "a" * 129])
def test_a_guard_is_not_made_for_an_audience_that_no_capability_can_have(enrol: Enrol, audience: str) -> None:
    plane = enrol("aggregator").plane
    with pytest.raises(ValueError, match=r"^audience: .* can name no enforcement point; give .* aggregator-1$"):
        Guard(plane, audience=audience, model=MODEL)


def test_a_trainer_cannot_open_rounds(enrol: Enrol, state: State) -> None:
    member = enrol("trainer")
    guard = Guard(member.plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.0)
    with pytest.raises(Denied):
        guard.seal(state, [member.id])


def test_a_state_without_floating_point_tensors_cannot_be_sealed(guard: Guard) -> None:
    with pytest.raises(ValueError, match="floating-point"):
        guard.seal({"steps": torch.tensor(1)}, ["dev-a"])


def test_reports_of_another_aggregators_round_are_not_believed(cohort: Cohort, enrol: Enrol) -> None:
    other = Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.0)
    assert not other.gate(cohort.sealed, cohort.submissions()).accepted


def test_keys_are_fetched_when_unknown_but_not_at_every_strangers_wish(plane: ControlPlane, enrol: Enrol) -> None:
    guard = Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL)
    member, state = enrol("trainer"), {"weight": torch.ones(4)}
    sealed = guard.seal(state, [member.id])
    fetched = 0
    fetch = guard._checkpoint._fetch_keys

    def counted() -> object:
        nonlocal fetched
        fetched += 1
        return fetch()

    guard._checkpoint._fetch_keys = counted  # type: ignore[assignment]
    good = member.pull(sealed.terms)
    claims = plane.services.capabilities.verifier.inspect(
        good.capability, action="model_access", round_id=sealed.terms.round_id, model_digest=sealed.terms.model_digest
    )
    assert not isinstance(claims, Refused)
    forger = Minter(SigningKey.generate, plane.url, time.time)
    forged, _ = forger.mint(member.id, member.key.thumbprint, AUDIENCE, claims.detail, "dec-1", "r", 60.0)
    assert guard.authorize_pull(sealed, good) == member.id
    for _ in range(3):
        assert cause_of(guard.authorize_pull(sealed, replace(good, capability=forged))) == "unknown_key"
    assert fetched == 1


@pytest.fixture
def own_plane() -> Iterator[ControlPlane]:
    """A control plane whose OPA may be hurt."""
    with running(opa_deadline_seconds=0.3) as plane:
        yield plane


@pytest.fixture
def aggregator(own_plane: ControlPlane, tmp_path: Path) -> Iterator[Member]:
    token = own_plane.token(["aggregator"], "core")
    with Member.enrol(tmp_path / "a", own_plane.url, token, roles=["aggregator"], segment="core") as member:
        yield member


@pytest.fixture
def trainer(own_plane: ControlPlane, tmp_path: Path) -> Iterator[Member]:
    with Member.enrol(tmp_path / "t", own_plane.url, own_plane.token(["trainer"], "homes")) as member:
        yield member


def test_without_policy_the_cohort_is_dropped_and_later_rounds_pass(
    own_plane: ControlPlane, aggregator: Member, trainer: Member
) -> None:
    guard = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.5)
    state = {"weight": torch.ones(4)}
    sealed = guard.seal(state, [trainer.id])
    sent = submission(trainer, sealed, update_of(state, 1))
    stopped = pause(own_plane.sidecar.pid)
    try:
        assert causes(guard.gate(sealed, [sent])) == ["unavailable"]
        with pytest.raises(Unavailable):
            guard.seal(state, [trainer.id])
    finally:
        resume(stopped)
    wait_until(lambda: trainer.plane.readiness().ready)
    assert guard.report.drops["gate", "unavailable"] == 1
    patient = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, patience_seconds=20.0)
    sealed = patient.seal(state, [trainer.id])
    assert patient.gate(sealed, [submission(trainer, sealed, update_of(state, 1))]).rulings[0].verdict is not None


def test_a_short_outage_of_policy_is_waited_out_and_nothing_is_used_twice(
    own_plane: ControlPlane, aggregator: Member, trainer: Member
) -> None:
    guard = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, patience_seconds=30.0)
    state = {"weight": torch.ones(4)}
    sealed = guard.seal(state, [trainer.id])
    sent = submission(trainer, sealed, update_of(state, 1))
    pid = own_plane.sidecar.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ruling = guard.gate(sealed, [sent]).rulings[0]
    assert ruling.verdict is not None
    assert ruling.cause not in {"unavailable", "capability_unused"}
