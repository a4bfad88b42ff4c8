"""A member of a site: its own policy is asked before the control plane, whatever the server's side says."""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.answers import Grant
from adapters.client import SyncCapabilities
from adapters.credentials import Credentials, RoundTerms
from adapters.errors import Denied
from adapters.member import Member
from adapters.plane import ControlPlane as Client
from adapters.site import Vetoed
from adapters.site.ledger import BILLION
from adapters.site.plane import SitedControlPlane, SitedSyncControlPlane
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import Capability, CapabilityContext
from controlplane.contracts.policies import digest_of
from tests.adapters.site.houses import built, house_of, signed
from tests.support import DIGEST, MODEL, Caller, ControlPlane

Enrol = Callable[..., Member]
UPDATE = "sha256:" + "e" * 64
_rounds = count()
_opened: list[str] = []
_watching = [False]


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching[0] and event == "open":
        _opened.append(str(arguments[0]))


sys.addaudithook(_note)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The policy of a house that takes part in nothing."""
    models = {"another": house_of()["models"][MODEL]}
    return signed(built(tmp_path_factory.mktemp("closed"), house_of(models=models)))


@pytest.fixture(scope="module")
def aggregator(plane: ControlPlane) -> Caller:
    return plane.enrol("aggregator")


def opened(aggregator: Caller, *members: Member) -> RoundTerms:
    """Open a round for members, and return its terms."""
    name = f"site-{next(_rounds)}"
    document = {
        "id": name,
        "model": MODEL,
        "model_digest": DIGEST,
        "members": [member.id for member in members],
        "duration_seconds": 600.0,
    }
    aggregator.post("/v1/rounds", document).expect(201)
    return RoundTerms(name, MODEL, DIGEST, "aggregator-1")


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def codes(refusal: Denied) -> set[str]:
    return {reason.code for reason in refusal.reasons}


def asked_of(plane: ControlPlane, member: Member) -> list[str]:
    """What the control plane was ever asked to decide for a device, the site's own decisions apart."""
    operator = plane.enrol("operator")
    found = operator.get(f"/v1/decisions?subject={member.id}&limit=200").expect(200)["decisions"]
    return [one["action"] for one in found if not one["action"].startswith("site:")]


def test_what_the_site_lets_happen_happens(aggregator: Caller, enrolled: Enrol, policy: bytes) -> None:
    member = enrolled(policy)
    terms = opened(aggregator, member)
    assert member.allowance(terms).epsilon == 2.0
    assert member.pull(terms).subject == member.id
    member.describe(UPDATE, norm=1.0, examples=100, epsilon=2.0)
    assert member.submit(terms, UPDATE).subject == member.id


def test_a_veto_is_a_denial_of_which_the_control_plane_was_never_asked(
    plane: ControlPlane, aggregator: Caller, enrolled: Enrol, closed: bytes
) -> None:
    member = enrolled(closed)
    terms = opened(aggregator, member)
    with pytest.raises(Vetoed) as raised:
        member.pull(terms)
    assert codes(raised.value) == {"site:model_listed"}
    member.describe(UPDATE, norm=1.0, examples=100, epsilon=2.0)
    with pytest.raises(Vetoed):
        member.submit(terms, UPDATE)
    with pytest.raises(Vetoed):
        member.allowance(terms)
    assert set(asked_of(plane, member)) <= {"enrolment", "site:report", "enrol"}


def test_what_the_control_plane_denies_no_site_allows(aggregator: Caller, enrolled: Enrol, policy: bytes) -> None:
    member, other = enrolled(policy), enrolled()
    terms = opened(aggregator, other)
    with pytest.raises(Denied) as raised:
        member.pull(terms)
    assert not isinstance(raised.value, Vetoed)
    member.describe(UPDATE, norm=1.0, examples=100, epsilon=2.0)
    with pytest.raises(Denied) as raised:
        member.submit(terms, UPDATE)
    assert "round_member" in codes(raised.value)
    assert member.site is not None
    with member.site.ledger.opened() as entry:
        assert entry.balances("1970-01") == {}, "what did not go out is not spent"


def test_an_update_that_nobody_described_stays(aggregator: Caller, enrolled: Enrol, policy: bytes) -> None:
    member = enrolled(policy)
    terms = opened(aggregator, member)
    member.pull(terms)
    with pytest.raises(Vetoed) as raised:
        member.submit(terms, UPDATE)
    assert {"site:epsilon_within_budget", "site:examples_within_limit", "site:norm_exceeded"} <= codes(raised.value)


def test_the_budget_holds_across_updates_and_openings(
    aggregator: Caller, enrolled: Enrol, policy: bytes, tmp_path: Path
) -> None:
    member = enrolled(policy, folder=tmp_path / "device")
    for number in range(4):
        with Member.open(tmp_path / "device") as again:
            again.describe(digest(number), norm=1.0, examples=100, epsilon=2.0)
        with Member.open(tmp_path / "device") as again:
            terms = opened(aggregator, member)
            again.submit(terms, digest(number))
            # The same update costs nothing more, however often credentials are asked for.
            again.submit(terms, digest(number))
    terms = opened(aggregator, member)
    member.describe(digest(4), norm=1.0, examples=100, epsilon=0.000000001)
    with pytest.raises(Vetoed) as raised:
        member.submit(terms, digest(4))
    assert codes(raised.value) == {"site:epsilon_within_budget"}
    assert member.allowance(terms).epsilon == 0.0
    assert member.site is not None
    with member.site.ledger.opened() as entry:
        (spent,) = entry.balances("1970-01").values()
    assert spent.total == 8 * BILLION


def test_only_a_member_without_a_site_has_no_site(enrolled: Enrol, policy: bytes) -> None:
    assert enrolled().site is None
    assert enrolled(policy).site is not None


def _broken(kind: str, folder: Path) -> None:
    site = folder / "site"
    if kind == "dangling":
        site.symlink_to(folder / "nowhere")
    elif kind == "a file":
        site.write_text("")
    else:
        site.mkdir()


@pytest.mark.parametrize("kind", ["dangling", "a file", "empty"])
def test_a_site_that_is_broken_is_a_site_that_says_no(
    plane: ControlPlane, aggregator: Caller, enrolled: Enrol, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "device"
    member = enrolled(folder=folder)
    terms = opened(aggregator, member)
    _broken(kind, folder)
    with Member.open(folder) as broken:
        with pytest.raises(Vetoed):
            broken.pull(terms)
        with pytest.raises(Vetoed):
            broken.submit(terms, UPDATE)
        with pytest.raises(Vetoed):
            broken.allowance(terms)
        assert not broken.was_let_in(DIGEST)


def test_what_cannot_be_put_on_record_is_not_given_out(aggregator: Caller, enrolled: Enrol, policy: bytes) -> None:
    member = enrolled(policy)
    terms = opened(aggregator, member)
    assert member.site is not None
    member.describe(UPDATE, norm=1.0, examples=100, epsilon=2.0)
    member.site.chain.path.mkdir(parents=True)
    for refused in (lambda: member.pull(terms), lambda: member.submit(terms, UPDATE)):
        with pytest.raises(Vetoed) as raised:
            refused()
        assert codes(raised.value) == {"site:log_unavailable"}
    with member.site.ledger.opened() as entry:
        assert entry.balances("1970-01") == {}


def test_what_the_site_does_not_know_to_be_let_in_was_not(aggregator: Caller, enrolled: Enrol, policy: bytes) -> None:
    member = enrolled(policy)
    terms = opened(aggregator, member)
    assert not member.was_let_in(DIGEST)
    member.pull(terms)
    assert member.was_let_in(DIGEST)
    assert not member.was_let_in(UPDATE)
    assert enrolled().was_let_in(UPDATE), "where there is no site, nothing changes"


TRIES: dict[str, Callable[[Member, RoundTerms], object]] = {
    "allowance": lambda member, terms: member.allowance(terms),
    "close": lambda member, _: member.close(),
    "describe": lambda member, _: member.describe(UPDATE, norm=1.0, examples=1, epsilon=0.1),
    "expect": lambda member, terms: member.expect(terms.model_digest, 1),
    "introduce": lambda member, terms: member.introduce(terms.audience),
    "pull": lambda member, terms: member.pull(terms),
    "release": lambda member, terms: member.release(terms, UPDATE, lambda _terms: UPDATE),
    "rotate_key": lambda member, _: member.rotate_key(),
    "submit": lambda member, terms: member.submit(terms, UPDATE),
    "submit_again": lambda member, terms: member.submit_again(terms, UPDATE, None),
    "submit_masked": lambda member, terms: member.submit_masked(terms, UPDATE),
    "was_let_in": lambda member, terms: member.was_let_in(terms.model_digest),
}


def _hands_out(found: object) -> bool:
    return isinstance(found, Credentials | Capability) or (isinstance(found, Grant) and found.allowed)


def test_no_public_method_of_a_member_hands_anything_out_past_its_site(
    plane: ControlPlane, aggregator: Caller, enrolled: Enrol, closed: bytes, tmp_path: Path
) -> None:
    member = enrolled(closed, folder=tmp_path / "device")
    terms = opened(aggregator, member)
    public = {name for name in dir(Member) if not name.startswith("_") and callable(getattr(Member, name))}
    assert public - {"enrol", "open"} == set(TRIES), "a new method is to be tried here"
    for name, tried in TRIES.items():
        with Member.open(tmp_path / "device") as one:
            try:
                found = tried(one, terms)
            except Vetoed:
                continue
            except ValueError as error:
                assert name == "rotate_key" and "site" in str(error)
                continue
            assert not _hands_out(found), name
    assert set(asked_of(plane, member)) <= {"enrolment", "site:report", "enrol"}


def test_every_way_of_the_client_to_a_capability_asks_the_site() -> None:
    ways = {
        name
        for name in dir(SitedControlPlane)
        if callable(method := getattr(SitedControlPlane, name))
        and not name.startswith("__")
        and get_type_hints(method).get("return") in (Grant, Capability)
    }
    assert ways == {"capability", "submission"}
    assert all(name in vars(SitedControlPlane) and name in vars(SitedSyncControlPlane) for name in ways)
    assert SitedControlPlane.capability is not Client.capability


@pytest.mark.parametrize("action", ["model_access", "gradient_submission"])
def test_the_client_itself_asks_the_site_too(
    plane: ControlPlane, aggregator: Caller, enrolled: Enrol, closed: bytes, action: Any
) -> None:
    member = enrolled(closed)
    terms = opened(aggregator, member)
    resource = Resource(type="model", id=MODEL, properties=ResourceProperties(digest=DIGEST))
    context = CapabilityContext(purpose="training", round_id=terms.round_id)
    grant = member.plane.capability(action, resource, terms.audience, context)
    assert not grant.allowed
    with pytest.raises(Vetoed):
        grant.require()
    with SyncCapabilities(member.plane) as kept:
        assert not kept.get(action, resource, terms.audience, context).allowed
    assert set(asked_of(plane, member)) <= {"enrolment", "site:report", "enrol"}


def test_the_client_submits_nothing_of_which_no_digest_is_told(
    aggregator: Caller, enrolled: Enrol, policy: bytes
) -> None:
    member = enrolled(policy)
    terms = opened(aggregator, member)
    member.describe(UPDATE, norm=1.0, examples=1, epsilon=0.1)
    context = CapabilityContext(round_id=terms.round_id)
    resource = Resource(type="model", id=MODEL)
    assert not member.plane.capability("gradient_submission", resource, terms.audience, context).allowed


NAMES = st.sampled_from(
    [
        "../../policy.tar.gz",
        "site/policy.tar.gz",
        "policy",
        "trust/site/owner.pem",
        "..",
        "a/../../b",
        MODEL,
        "off",
        "none",
    ]
).filter(lambda text: text[0].isalnum()) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,40}", fullmatch=True)
DIGESTS = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.builds(RoundTerms, NAMES, NAMES, DIGESTS, NAMES), DIGESTS)
def test_nothing_that_a_server_says_reaches_the_choice_of_policy(
    enrolled: Enrol, closed: bytes, tmp_path: Path, terms: RoundTerms, update: str
) -> None:
    folder = tmp_path / "hostile"
    if not folder.exists():
        enrolled(closed, folder=folder)
    site = folder / "site"
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file() and "state" not in path.parts}
    with Member.open(folder) as member:
        assert member.site is not None
        _opened.clear()
        _watching[0] = True
        try:
            for tried in (lambda: member.pull(terms), lambda: member.submit(terms, update)):
                with pytest.raises(Vetoed):
                    tried()
            member.introduce(terms.audience)
        finally:
            _watching[0] = False
        decided = [line.decision for line in member.site.chain.read(2)]
    assert {path for path in _opened if path.endswith((".gz", ".pem", ".rego", ".wasm"))} <= set(map(str, before))
    assert len({(one.policy_digest, one.policy_revision) for one in decided}) == 1
    assert decided[0].policy_digest == digest_of(closed)
    assert {path: path.read_bytes() for path in before} == before
