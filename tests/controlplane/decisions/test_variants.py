"""Every field of every allowed example is deleted, nulled, retyped and driven to extremes, through the real path.

What breaks a requirement is never allowed. What may change and still be allowed is listed here, each with its reason;
what the contract refuses never reaches OPA and counts as refused.
"""

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.decision import Decision
from controlplane.sidecar.folders import product_folder
from tests.support import ControlPlane

ABSENT = object()
EXTREMES: list[Any] = [
    ABSENT,
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    -0.5,
    5e-324,
    1e308,
    -1e308,
    10**30,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "0",
    "1e9",
    "true",
    "x",
    "\u0000",
    "x" * 10_000,
    [],
    [None],
    ["x"],
    {},
    {"x": 1},
    {"value": True},
]

AT_ONCE = 128
ASKED_AGAIN = 5

Spot = tuple[str | int, ...]
Harmless = Callable[[Any, dict[str, Any]], bool]


def anything(_value: Any, _facts: dict[str, Any]) -> bool:
    return True


def between(low: float, high: float) -> Harmless:
    return lambda value, _facts: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def counted(value: Any, facts: dict[str, Any]) -> bool:
    return value is ABSENT or between(0, 1e12)(value, facts)


def before_now(value: Any, facts: dict[str, Any]) -> bool:
    return isinstance(value, int | float) and bool(value <= facts["context"]["time"])


def after_now(value: Any, facts: dict[str, Any]) -> bool:
    return isinstance(value, int | float) and bool(value > facts["context"]["time"])


def in_open_time(value: Any, facts: dict[str, Any]) -> bool:
    """The time may move as long as the round, the token and the maintenance window stay open."""
    context = facts["context"]
    seen = context.get("round")
    shown = [context[kind] for kind in ("token", "credential", "certificate") if kind in context]
    restricted = facts["resource"]["id"] == "fall-detection"
    return (
        not (restricted and value < 1e9)
        and (seen is None or seen["opens_at"] <= value < seen["closes_at"])
        and all(value < one["expires_at"] for one in shown)
        and all(one["registered_at"] <= value for one in context.get("integrity", {}).values())
    )


def without_level(_value: Any, facts: dict[str, Any]) -> bool:
    """A model that asks for no proven platform."""
    return bool(facts["resource"]["id"] != "fall-detection")


def own_decision(_value: Any, facts: dict[str, Any]) -> bool:
    """A subject reads decisions about itself, and hands in its site's, whatever its role, place, trust or usage."""
    action, properties = facts["action"]["name"], facts["resource"].get("properties", {})
    return bool(
        action in {"decision:list", "decision:read", "site:report"}
        and properties.get("owner") == facts["subject"]["id"]
    )


def own_thing(value: Any, facts: dict[str, Any]) -> bool:
    """What is one's own needs no role and no place."""
    properties = facts["resource"].get("properties", {})
    is_own = properties.get("owner") == facts["subject"]["id"]
    needs_no_role = facts["action"]["name"] in {"certificate:issue", "identity:resolve"}
    return own_decision(value, facts) or (needs_no_role and is_own)


WHOSEVER = (
    "round:create",
    "evaluation:ask",
    "behaviour:read",
    "decision:list",
    "decision:read",
    "token:issue",
    "events:read",
    "identity:resolve",
)


def roles_suffice(_value: Any, facts: dict[str, Any]) -> bool:
    """Roles beside the one that grants may go; a newcomer may ask for fewer than its token allows."""
    action, roles = facts["action"]["name"], facts["subject"]["properties"].get("roles")
    if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
        return False
    if action == "enrol":
        token = facts["context"].get("token", {"roles": ["trainer", "consumer"]})
        return bool(set(roles) <= set(token.get("roles") or []))
    granting = {
        "model_access": "trainer" if facts["context"].get("purpose") == "training" else "consumer",
        "gradient_submission": "trainer",
        "inference": "consumer",
    }
    return granting.get(action) in roles


def compared(_value: Any, facts: dict[str, Any]) -> bool:
    """Where there is a p-value, how many it was compared with is in it; without one there must be few."""
    behaviour = facts["context"].get("behaviour", {})
    return "p_value" in behaviour or between(0, 19)(behaviour.get("comparable", 0), facts)


def attested(value: Any, facts: dict[str, Any]) -> bool:
    """A restricted model wants a proof of the last fifteen minutes."""
    return without_level(value, facts) or between(0, 900)(value, facts)


WAIVER = "context.exceptions.exc-019a7c2d4e5f00112233445566778899"


def trusted(value: Any, facts: dict[str, Any]) -> bool:
    """From the minimum up, or waived by the exception that the example is about."""
    return between(0, 1)(value, facts) if "exceptions" in facts["context"] else between(0.25, 1)(value, facts)


def other_than_who_asks(value: Any, facts: dict[str, Any]) -> bool:
    return isinstance(value, str) and value.strip() != "" and value != facts["subject"]["id"]


def granted_to_another(value: Any, facts: dict[str, Any]) -> bool:
    """Who may set a status may set anybody's, and who grants exceptions grants them to anybody else."""
    action = facts["action"]["name"]
    return action == "device:set_status" or (action == "exception:grant" and other_than_who_asks(value, facts))


def elsewhere(_value: Any, facts: dict[str, Any]) -> bool:
    """Every hold is of another segment."""
    own = facts["subject"]["properties"]["segment"]
    return all(hold["segment"] not in (own, "*") for hold in facts["context"]["holds"]["current"].values())


def holds_nothing(_value: Any, facts: dict[str, Any]) -> bool:
    """Of this alert, nothing is held: it is resolved, or policy has nothing done."""
    told = facts["context"]["alert"]
    return told["status"] == "resolved" or told["name"] != "ZtfmPoisoningCampaign"


REFERENCES = json.loads((Path(product_folder("policies")) / "data" / "attestation" / "data.json").read_text())[
    "references"
]
BUDGETS = json.loads((Path(product_folder("policies")) / "data" / "budgets" / "data.json").read_text())

SECRETS = json.loads((Path(product_folder("policies")) / "data" / "secrets" / "data.json").read_text())


def from_the_secrets_minimum(value: Any, facts: dict[str, Any]) -> bool:
    return between(SECRETS[facts["resource"]["id"]]["trust_minimum"], 1)(value, facts)


def as_fresh_as_the_secret_asks(value: Any, facts: dict[str, Any]) -> bool:
    return between(0, SECRETS[facts["resource"]["id"]]["attestation"]["age_seconds"])(value, facts)


def any_reference_of_the_secret(value: Any, facts: dict[str, Any]) -> bool:
    in_force = isinstance(value, str) and value in REFERENCES
    return in_force and SECRETS[facts["resource"]["id"]]["attestation"]["references"]["any"] is True


def with_room(_value: Any, facts: dict[str, Any]) -> bool:
    """Whether every budget has room for the request, as shipped."""
    data, context = BUDGETS, facts["context"]
    return all(
        context["taken"][scope][span][unit] + context["asked"][unit] <= data[scope]["any"][span][unit]
        for scope in ("subject", "model", "segment")
        for span in ("hour", "day")
        for unit in ("requests", "tokens")
    )


def below_denial(_value: Any, facts: dict[str, Any]) -> bool:
    """Whether what was found, as shipped, denies nothing, and asks for a capability as young as the one that came."""
    context = facts["context"]
    found, is_prompt = context["findings"], context["direction"] == "prompt"
    owes = is_prompt and (found["injection"] >= 0.75 or found["coverage"] >= 0.8)
    return bool(
        found["secrets"] < (100 if is_prompt else 20)
        and sum(found["personal"].values()) < (500 if is_prompt else 200)
        and not (is_prompt and found["injection"] >= 0.93)
        and 0 <= context["capability"]["age_seconds"] <= (30 if owes else 300)
    )


HARMLESS: dict[str, dict[str, tuple[Harmless, str]]] = {
    "*": {
        "subject.id": (anything, "who asks was settled when its properties were looked up; the id is for the record"),
        "subject.properties.key_thumbprint": (anything, "any well-formed thumbprint says that the key is registered"),
        "subject.properties.trust.observations": (anything, "how often it was observed is in the score"),
        "subject.properties.trust.history": (anything, "as shipped, no requirement reads how it moved"),
        "subject.properties.trust.score": (between(0.25, 1.0), "from the minimum up"),
        "subject.properties.attestation": (without_level, "this model asks for no proven platform"),
        "subject.properties.attestation.age_seconds": (attested, "fresh"),
        "subject.properties.roles": (roles_suffice, "the role that grants is still there"),
        "context.time": (in_open_time, "the time may move while everything stays open"),
        "context.holds.current": (elsewhere, "what is held in another segment is not in the way"),
        "context.usage.requests": (between(0, 5999), "within the budget"),
        "context.usage.window_seconds": (between(60, 60), "the window that the budget is for"),
        "context.round.opens_at": (before_now, "the round has begun"),
        "context.round.closes_at": (after_now, "the round has not ended"),
        "context.round.id": (anything, "the name of a round that is known; the capability is compared with it"),
    },
    "model_access": {
        "context.usage.tokens": (anything, "tokens are inference's budget"),
        "context.integrity.release.registered_at": (before_now, "it was registered before it was asked for"),
    },
    "gradient_submission": {
        "context.group.name": (anything, "which group it is, is for the judge of behaviour"),
        "context.group.size": (between(4, 64), "within the bounds on groups"),
        "context.round.aggregator.level": (anything, "what each result proves counts"),
        "context.round.aggregator.age_seconds": (anything, "what each result proves counts"),
        "context.round.aggregator.results.snp.age_seconds": (between(0, 900), "fresh"),
        "context.usage": (
            lambda _, facts: facts["context"]["phase"] == "admit",
            "asking was charged when it was granted",
        ),
        "context.usage.tokens": (anything, "tokens are inference's budget"),
        "context.network": (
            lambda _, facts: facts["context"]["phase"] == "admit",
            "an arrived update is reported by its enforcement point: where from says nothing of it",
        ),
        "resource.properties": (anything, "a submission is bound to its model by id and round, not by a digest"),
        "context.round.model_digest": (anything, "it binds the pull"),
        "context.capability.age_seconds": (between(0, 300), "fresh"),
        "context.evidence.update_digest": (anything, "any well-formed digest names the update"),
        "context.evidence.parameters": (between(1, 1e9), "an update has at least one"),
        "context.evidence.norm": (between(5e-324, 1e12), "it is judged relative to the cohort"),
        "context.evidence.norm_ratio": (between(5e-324, 3.0), "within the bound"),
        "context.evidence.cosine": (between(0.0, 1.0), "aligned"),
        "context.evidence.sign_agreement": (anything, "supporting evidence, judged by behaviour"),
        "context.evidence.layer_shares": (anything, "supporting evidence, for people"),
        "context.evidence.examples": (between(1, 100_000), "within the bound"),
        "context.evidence.seen_before": (lambda value, _: value is ABSENT, "the contract says no where nobody does"),
        "context.evidence.replay_cosine": (
            lambda value, facts: value in (ABSENT, None) or between(-1, 0.97)(value, facts),
            "unlike earlier updates, or there are none to compare with",
        ),
        "context.behaviour.state_age_seconds": (anything, "for how long it stands so is asked for the response"),
        "context.behaviour.e_value": (between(0, 49), "not too much"),
        "context.behaviour.p_value": (between(0.06, 1.0), "plausible"),
        "context.behaviour.comparable": (compared, "few where there is no p-value"),
        "context.privacy.cause": (lambda value, _: value in (ABSENT, ""), "it is known"),
        "context.privacy.terms.clip_norm": (between(1, 1), "the same number"),
        "context.privacy.charges": (between(0, 1e9), "any number of charges came before"),
        "context.privacy.epsilon_spent": (
            lambda value, facts: between(0, facts["context"]["privacy"]["epsilon_after"])(value, facts),
            "what was spent before is no more than what is afterwards",
        ),
        "context.privacy.epsilon_after": (
            lambda value, facts: between(facts["context"]["privacy"]["epsilon_spent"], 4)(value, facts),
            "within the budget",
        ),
        "context.privacy.epsilon_alone": (between(0, 1), "within what one update may cost"),
    },
    "inference": {
        "resource.properties": (anything, "an inference is asked of the model that is served"),
        "context.time": (anything, "this model has no window"),
        "context.usage.tokens": (between(0, 199_000), "within the budget"),
        "context.inference.prompt_tokens": (between(0, 4096), "within the model's bound"),
        "context.inference.max_output_tokens": (between(0, 199_000), "cut down by an obligation"),
        "subject.properties.trust.score": (trusted, "from the minimum up, or waived"),
        f"{WAIVER}.reason": (other_than_who_asks, "any reason"),
        f"{WAIVER}.approver": (other_than_who_asks, "somebody else approved it"),
    },
    "admin": {
        "subject.properties.trust": (anything, "a service's trust is not asked for"),
        "subject.properties.attestation": (anything, "a service's platform is not asked for"),
        "subject.properties.roles": (own_thing, "a decision about oneself, or a certificate for one's own key"),
        "subject.properties.segment": (own_thing, "a decision about oneself, or a certificate for one's own key"),
        "subject.properties.claims.sub": (anything, "policy gives no role for this claim"),
        "subject.properties.status": (
            lambda value, facts: value in ("active", "quarantined") and own_decision(value, facts),
            "the quarantined may learn why",
        ),
        "resource.id": (anything, "a name; what may be done follows from its kind and its owner"),
        "resource.properties": (
            lambda _, facts: facts["action"]["name"] in WHOSEVER,
            "a report asks whose it is, and so does a certificate; an operator reads any",
        ),
        "resource.properties.owner": (granted_to_another, "who may set a status may set anybody's"),
        "resource.properties.lasts_seconds": (between(5e-324, 90 * 86_400), "no longer than the limit"),
        "context.results.snp.age_seconds": (between(0, 900), "fresh"),
        "context": (own_thing, "a decision about oneself, or a certificate for one's own key"),
        "context.usage": (anything, "services have no budget of their own"),
        "context.time": (anything, "nothing here depends on it"),
    },
    "response": {
        "subject.properties.roles": (anything, "what it may do is not asked for"),
        "subject.properties.segment": (anything, "where it lives is not asked for"),
        "subject.properties.trust.score": (between(0.0, 1.0), "any share leads somewhere"),
        "context.time": (anything, "nothing here depends on it"),
        "context.behaviour.state_age_seconds": (between(0, 1e10), "for any time it stands somewhere"),
        "context.behaviour.e_value": (between(0, 1e12), "any evidence leads somewhere"),
        "context.behaviour.conforming": (lambda value, facts: value == {}, "nothing was seen"),
        "context.behaviour.conforming.updates": (counted, "any number leads somewhere, and so does none"),
        "context.behaviour.convicted": (lambda value, facts: value == {}, "nothing convicted it"),
        "context.behaviour.convicted.updates": (counted, "any evidence leads somewhere, and so does none"),
        "context.behaviour.contributed": (
            counted,
            "to any number of rounds; the contract says to none where nobody says",
        ),
        "context.behaviour.e_values": (
            anything,
            "the whole evidence is asked for; without that of updates nothing is undone",
        ),
        "context.behaviour.channel": (anything, "time alone has none"),
        "context.behaviour.p_value": (anything, "it is in the evidence"),
        "context.behaviour.comparable": (anything, "it is in the evidence"),
        "context.behaviour.attack": (anything, "for people"),
        "context.behaviour.confidence": (anything, "for people"),
    },
    "identity": {
        "resource.id": (anything, "whom it is about; the control plane looks it up"),
        "context.time": (anything, "when it was found; nothing depends on it"),
        "context.finding.together": (between(1, 50), "few enough for something to be done"),
        "context.device.status": (anything, "one that stands so already, or worse, is left as it is"),
        "context.device.roles": (anything, "told for authors; nothing depends on it as shipped"),
        "context.device.segment": (anything, "told for authors; nothing depends on it as shipped"),
    },
    "budget": {
        "subject.properties.roles": (anything, "asked for when the capability was issued"),
        "subject.properties.attestation": (anything, "asked for when the capability was issued"),
        "subject.properties.trust.score": (between(0.25, 1), "trusted enough; a share of the budget at least"),
        "context.time": (anything, "nothing is held"),
        "context.gateway": (anything, "every gateway may lease"),
        "context.leases": (between(0, 63), "few enough"),
        "context.asked.requests": (between(1, 19_960), "what is left of the subject's hour"),
        "context.asked.tokens": (between(0, 1_991_000), "what is left of the subject's hour"),
        "context.taken": (with_room, "what is left does"),
    },
    "content": {
        "subject.properties.roles": (anything, "asked for when the capability was issued"),
        "subject.properties.attestation": (anything, "asked for when the capability was issued"),
        "context.time": (anything, "nothing is held"),
        "context.reporter.id": (anything, "who asks was settled when its properties were looked up"),
        "context.capability.id": (anything, "it is for the record"),
        "context.capability.age_seconds": (below_denial, "as young as what was found asks for"),
        "context.findings": (below_denial, "what was found denies nothing"),
    },
    "segmentation": {
        "subject.properties.roles": (anything, "asked for when the capability was issued"),
        "subject.properties.attestation": (anything, "asked for when the capability was issued"),
        "subject.properties.trust.score": (between(0, 1), "as shipped, watched devices reach this model too"),
        "context.time": (anything, "nothing here depends on it"),
        "context.action": (
            lambda value, _: value in ("gradient_submission", "model_access"),
            "both are for the aggregator",
        ),
        "context.attachment.site": (anything, "as shipped, any site"),
        "context.attachment.line": (anything, "as shipped, any line, and none"),
        "context.attachment.device_class": (anything, "as shipped, any class"),
        "context.attachment.tunnelled": (anything, "as shipped, no flow asks for a tunnel"),
    },
    "key_release": {
        "subject.properties.attestation": (anything, "the results of evidence count, each by itself"),
        "subject.properties.trust.score": (from_the_secrets_minimum, "from the secret's minimum up"),
        "context.time": (anything, "nothing here depends on it"),
        "context.results.tpm.age_seconds": (as_fresh_as_the_secret_asks, "fresh"),
        "context.results.tpm.reference": (any_reference_of_the_secret, "any that are in force are accepted"),
        "context.results.tpm.level": (
            lambda value, facts: facts["resource"]["id"] != "voices-2026" and value == "hardware",
            "stronger than is asked for",
        ),
        "context.results.tpm.suite": (
            lambda value, facts: facts["resource"]["id"] != "voices-2026" and value == "x25519",
            "a suite that is accepted as well",
        ),
        "context.capability.shards": (
            lambda _, facts: facts["context"]["capability"]["whole"] is True,
            "a capability for all of the weights names no shards",
        ),
        "context.capability.age_seconds": (between(0, 300), "fresh"),
    },
    "attestation": {
        "subject.properties.roles": (anything, "the reference values, as shipped, are for every role"),
        "subject.properties.segment": (anything, "the reference values, as shipped, are for every segment"),
        "subject.properties.attestation": (anything, "what was proven before is not asked for what is proven now"),
        "subject.properties.trust": (anything, "how a device behaved says nothing of its platform"),
        "context.time": (anything, "nothing depends on it"),
        "context.network": (anything, "a platform may be anywhere"),
        "context.release_key": (anything, "which suite is asked for when a secret is released"),
        "context.challenge.age_seconds": (between(0, 120), "in time"),
        "context.evidence.platform": (anything, "a device may change its platform, as shipped"),
        "context.platform.others": (between(0, 1000), "so many may share a software TPM, as shipped"),
        "context.evidence.claims.platform": (anything, "any platform, as shipped"),
        "context.evidence.claims.versions": (anything, "no versions are asked for, as shipped"),
        "context.evidence.claims.attributes.clock": (anything, "not asked for, as shipped"),
        "context.evidence.claims.made_at": (anything, "the challenge says that it is fresh"),
    },
    "alert": {
        "context.policy_revision": (anything, "it is told, and nothing depends on it"),
        "context.subjects": (anything, "they are told, and nothing depends on them"),
        "context.alert.severity": (holds_nothing, "it says with what something may be held"),
        "context.alert.segment": (holds_nothing, "it says where something may be held"),
        "context.alert.fingerprint": (anything, "any well-formed one names the alert"),
        "context.alert.started_at": (holds_nothing, "of what is resolved, the end counts"),
        "context.holds": (holds_nothing, "what is held is asked for where more is to be"),
        "context.holds.current": (anything, "there is room for one more"),
    },
    "enrolment": {
        "resource.id": (anything, "the name of this federation, which the control plane states itself"),
        "context.token.expires_at": (after_now, "not expired"),
        "context.token.roles": (roles_suffice, "what is asked for is still allowed"),
        "context.attestation": (anything, "no segment asks for a proven platform, as shipped"),
        "context.credential.expires_at": (after_now, "not expired"),
        "context.credential.age_seconds": (between(0, 31_536_000), "not too old"),
        "context.certificate.expires_at": (after_now, "not expired"),
        "context.certificate.subject": (anything, "for people; the device is named after its key"),
        "context.certificate.serial": (anything, "none is refused, as shipped"),
        "context.certificate.device": (anything, "none is refused, as shipped"),
    },
}


@dataclass(frozen=True)
class Example:
    package: str
    name: str
    facts: dict[str, Any]


def allowed_examples() -> Iterator[Example]:
    for path in sorted(Path(product_folder("policies")).glob("ztfm/*/examples/*.json")):
        document = json.loads(path.read_text())
        if document["decision"] is True:
            yield Example(path.parent.parent.name, path.stem, document["input"])


EXAMPLES = list(allowed_examples())


def spots(node: Any, path: Spot = ()) -> Iterator[Spot]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from spots(value, (*path, key))


def varied(facts: dict[str, Any], spot: Spot, value: Any) -> dict[str, Any]:
    variant = copy.deepcopy(facts)
    node: Any = variant
    for key in spot[:-1]:
        node = node[key]
    if value is ABSENT:
        del node[spot[-1]]
    else:
        node[spot[-1]] = value
    return variant


def variants(facts: dict[str, Any]) -> Iterator[tuple[Spot, Any, dict[str, Any]]]:
    for spot in spots(facts):
        for value in EXTREMES:
            variant = varied(facts, spot, value)
            if json.dumps(variant, sort_keys=True) != json.dumps(facts, sort_keys=True):
                yield spot, value, variant


def is_harmless(package: str, spot: Spot, value: Any, variant: dict[str, Any]) -> bool:
    listed = {**HARMLESS["*"], **HARMLESS[package]}
    for length in range(1, len(spot) + 1):
        place = ".".join(map(str, spot[:length]))
        if place in listed and listed[place][0](value, variant):
            return True
    return False


async def decided(plane: ControlPlane, package: str, facts: dict[str, Any]) -> Decision | None:
    """Return the decision, asked for again where OPA was late; none when the contract refused the facts."""
    try:
        for _ in range(ASKED_AGAIN):
            decision = await plane.services.decider.decide(package, facts)
            if decision.reasons != ["policy_deadline"]:
                break
    except ValidationError:
        return None
    return decision


async def all_decided(plane: ControlPlane, package: str, many: list[dict[str, Any]]) -> list[Decision | None]:
    found: list[Decision | None] = []
    for start in range(0, len(many), AT_ONCE):
        found += await asyncio.gather(*(decided(plane, package, facts) for facts in many[start : start + AT_ONCE]))
    return found


def test_there_are_examples_of_every_package() -> None:
    assert {example.package for example in EXAMPLES} == set(HARMLESS) - {"*"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.package}-{example.name}")
def test_no_variant_that_breaks_a_requirement_is_allowed(plane: ControlPlane, example: Example) -> None:
    [original] = plane.run(all_decided(plane, example.package, [example.facts]))
    assert original is not None
    assert original.allowed, original.reasons
    tried = list(variants(example.facts))
    decisions = plane.run(all_decided(plane, example.package, [facts for _, _, facts in tried]), 120.0)
    wrong = [
        (".".join(map(str, spot)), "deleted" if value is ABSENT else value)
        for (spot, value, variant), decision in zip(tried, decisions, strict=True)
        if decision is not None and decision.allowed and not is_harmless(example.package, spot, value, variant)
    ]
    assert wrong == []
    assert len([decision for decision in decisions if decision is None or not decision.allowed]) > 100
    assert {decision.outcome for decision in decisions if decision is not None} <= {"allow", "deny"}
