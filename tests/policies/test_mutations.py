"""Every field of every allowed example is deleted, nulled, retyped and driven to extremes.

What is still allowed then must be meant to be: `FREE` lists the fields that no requirement reads, each with its
reason, and `MEANT` says once more, in Python, which values of the others keep a request sound.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.policies.support import POLICIES, Engine, Example, load_examples

ABSENT = object()
Path = tuple[str | int, ...]

VALUES: list[Any] = [
    ABSENT, None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e-300, 1e308, -1e308, 10**30, "", "x", "0", "1e9", "true",
    [], [None], ["x"], [1], {}, {"x": 1}, {"id": "x"},
]  # fmt: skip
BATCH = 64

SETTLED = "Who asks is settled before policy: its properties were looked up by this id."
ROUTED = "The question went to the package of this action; no other action reaches it."
COUNTED = "What is counted here bounds another action."
REPORTED = "An arrived update is reported by its enforcement point: where from, and how often, says nothing of it."
NOISELESS = "Of a model without a plan, a round needs no noise."
NAMED = "The thing's id is a name; what may be done follows from its kind and its owner."
UNBOUND = "The model is named by its id and the round; a submission is not asked for by digest."
UNLEVELLED = "This model asks for no proven level, so its age does not matter."
SUPPORTING = "Supporting evidence for people and for behaviour; no bound is set on it."
TIMELESS = "Nothing here depends on the time."
OWN = "A subject reads decisions about itself from anywhere, with any role, even in quarantine."
OWN_SITE = "A device hands in what its own site decided from anywhere, with any role."
OWN_KEY = "An active subject gets a certificate for its own key from anywhere, with any role."
OTHERS = "Whoever may set a status may set anybody's."
UNMAPPED = "Policy gives no role for this claim."
OBSERVED = "How often it was observed is in the score."
COMPARED = "Where there is a p-value, how many it was compared with is in it."
UNASKED = "What this decision is told about behaviour and does not ask for; people read it in the record."
EXCEPTED = "The exception of this example waives what this would have to prove."
SERVICE = "A service's own trust and platform are not asked for."
TELLER = "Who tells of alerts is settled before policy, by a token."
UNHELD = "This alert has nothing held."
SPARED = "This hold is of another segment, so the rest of it says nothing."
UNATTESTED = "No segment asks a newcomer for a proven platform, as shipped."
ANYBODYS = "The reference values, as shipped, do not ask for it."
RESULTING = "Of the platform, the results of its evidence count, each by itself."
FOR_PEOPLE = "The subject of a certificate is for people; the device is named after its key."
GRANTED_BEFORE = "It was asked for when the capability was issued."
TOPICAL = "A topic follows from who one is; what is asked over it is decided by itself."

HOLD = "context.holds.current.hold-5d41402abc4b2a76b9719d911017c592"

FREE: dict[str, dict[str, str]] = {
    "model_access": {
        "subject.id": SETTLED,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.trust.history": "As shipped, no requirement reads it; examples/policies-steady does.",
        "context.usage.tokens": COUNTED,
    },
    "gradient_submission": {
        "subject.id": SETTLED,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.attestation.age_seconds": UNLEVELLED,
        "resource.properties": UNBOUND,
        "context.usage.tokens": COUNTED,
        "context.round.model_digest": UNBOUND,
        "context.evidence.sign_agreement": SUPPORTING,
        "context.evidence.layer_shares": SUPPORTING,
        "context.behaviour.state_age_seconds": UNASKED,
    },
    "inference": {
        "subject.id": SETTLED,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.attestation.age_seconds": UNLEVELLED,
        "resource.properties": UNBOUND,
        "context.time": TIMELESS,
    },
    "extra/mqtt_topic": {
        "subject.id": SETTLED,
        "subject.properties.trust": TOPICAL,
        "subject.properties.attestation": TOPICAL,
        "context": TOPICAL,
        "claims": TOPICAL,
    },
    "admin": {
        "subject.id": SETTLED,
        "subject.properties.trust": SERVICE,
        "subject.properties.attestation": SERVICE,
        "resource.id": NAMED,
        "context.time": TIMELESS,
        "context.usage": COUNTED,
    },
    "enrolment": {"subject.id": SETTLED, "action": ROUTED, "resource.id": NAMED, "context.attestation": UNATTESTED},
    "other": {},
    "alert": {
        "subject": TELLER,
        "action": ROUTED,
        "context.policy_revision": UNASKED,
        "context.subjects": UNASKED,
    },
    "response": {
        "subject.id": SETTLED,
        "action": ROUTED,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.roles": UNASKED,
        "subject.properties.segment": UNASKED,
        "subject.properties.attestation": UNASKED,
        "context.time": TIMELESS,
        "context.behaviour.channel": UNASKED,
        "context.behaviour.e_values": "without that of updates nothing is undone",
        "context.behaviour.p_value": UNASKED,
        "context.behaviour.comparable": UNASKED,
        "context.behaviour.attack": UNASKED,
        "context.behaviour.confidence": UNASKED,
    },
    "budget": {
        "subject.id": SETTLED,
        "action": ROUTED,
        "subject.properties.roles": "Its roles were asked for when its capability was issued.",
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.attestation": "Its platform was asked for when its capability was issued.",
        "context.time": TIMELESS,
        "context.gateway": "Which gateway it is was settled before policy.",
    },
    "segmentation": {
        "subject.id": SETTLED,
        "action": ROUTED,
        "subject.properties.roles": GRANTED_BEFORE,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.attestation": GRANTED_BEFORE,
        "context.time": TIMELESS,
        "context.attachment.tunnelled": "As shipped, no flow asks for a tunnel.",
    },
    "key_release": {
        "subject.id": SETTLED,
        "action": ROUTED,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.attestation": RESULTING,
        "context.time": TIMELESS,
    },
    "content": {
        "subject.id": SETTLED,
        "subject.properties.trust.observations": OBSERVED,
        "subject.properties.roles": GRANTED_BEFORE,
        "subject.properties.attestation": GRANTED_BEFORE,
        "context.time": TIMELESS,
        "context.reporter.id": SETTLED,
    },
    "identity": {
        "subject": "Who followed which ledger is settled before policy: it is the control plane itself.",
        "action": ROUTED,
        "resource.id": SETTLED,
        "context.time": TIMELESS,
        "context.device.roles": UNASKED,
        "context.device.segment": UNASKED,
    },
    "attestation": {
        "subject.id": SETTLED,
        "action": ROUTED,
        "subject.properties.roles": ANYBODYS,
        "subject.properties.segment": ANYBODYS,
        "subject.properties.attestation": "What was proven before is not asked for what is proven now.",
        "subject.properties.trust": "How a device behaved says nothing of its platform.",
        "context.time": TIMELESS,
        "context.network": "A platform may be anywhere.",
        "context.release_key": "Which suite a secret is sealed with is asked when one is released.",
        "context.evidence.platform": ANYBODYS,
        "context.evidence.claims.versions": ANYBODYS,
        "context.evidence.claims.attributes.clock": ANYBODYS,
    },
}
FREE_OF_EXAMPLE: dict[str, dict[str, str]] = {
    "allowed_weights_to_attested_trainer": {"context.capability.shards": "The capability is for the whole model."},
    "allowed_serving": {"context.time": TIMELESS},
    "allowed_admit": {
        "context.network": REPORTED,
        "context.usage": REPORTED,
        "context.behaviour.comparable": COMPARED,
    },
    "allowed_few_peers": {"context.network": REPORTED, "context.usage": REPORTED},
    "allowed_group_sum": {
        "context.network": REPORTED,
        "context.usage": REPORTED,
        "context.behaviour.comparable": COMPARED,
        "context.group.name": "Which group it is, is for the judge of behaviour.",
    },
    "allowed_attested_aggregator": {
        "context.round.aggregator.level": RESULTING,
        "context.round.aggregator.age_seconds": RESULTING,
        "context.network": REPORTED,
        "context.usage": REPORTED,
        "context.behaviour.comparable": COMPARED,
    },
    "allowed_own_decision": {
        "context": OWN,
        "subject.properties.roles": OWN,
        "subject.properties.segment": OWN,
    },
    "allowed_own_site_report": {
        "context": OWN_SITE,
        "subject.properties.roles": OWN_SITE,
        "subject.properties.segment": OWN_SITE,
    },
    "allowed_open_round": {"resource.properties.model": NOISELESS},
    "allowed_open_screened_round": {"resource.properties.model": NOISELESS},
    "allowed_evaluation": {"resource.properties": NAMED},
    "allowed_search": {"resource.properties": NAMED},
    "allowed_operator_lists": {"resource.properties": NAMED},
    "allowed_gateway_reports_signals": {"resource.properties": NAMED},
    "allowed_operator_reads_behaviour": {"resource.properties": NAMED},
    "allowed_operator_reads": {"resource.properties": NAMED},
    "allowed_person_reads": {"resource.properties": NAMED, "subject.properties.claims.sub": UNMAPPED},
    "allowed_person_signs_in": {"resource.properties": NAMED, "subject.properties.claims.sub": UNMAPPED},
    "allowed_author_follows_changes": {"resource.properties": NAMED},
    "allowed_administrator_issues_tokens": {"resource.properties": NAMED},
    "allowed_administrator_revokes": {"resource.properties.owner": OTHERS},
    "allowed_operator_releases": {"resource.properties.owner": OTHERS},
    "allowed_gateway_follows_events": {"resource.properties": NAMED},
    "allowed_gateway_resolves_organisation": {"resource.properties": NAMED},
    "allowed_by_exception": {"subject.properties.trust": EXCEPTED},
    "allowed_held_elsewhere": {
        f"{HOLD}.{name}": SPARED for name in ("actions", "alert", "fingerprint", "starts_at", "ends_at")
    },
    "allowed_mass_quarantine": {
        "context.alert.severity": UNHELD,
        "context.alert.fingerprint": UNHELD,
        "context.holds": UNHELD,
    },
    "allowed_campaign_resolved": {
        "context.alert.severity": UNHELD,
        "context.alert.segment": UNHELD,
        "context.alert.fingerprint": UNHELD,
        "context.alert.started_at": UNHELD,
        "context.holds": UNHELD,
    },
    "allowed_campaign_again": {f"{HOLD}.{name}": UNASKED for name in ("alert", "starts_at", "ends_at")},
    "allowed_own_identifier": {
        "context": OWN_KEY,
        "subject.properties.roles": OWN_KEY,
        "subject.properties.segment": OWN_KEY,
    },
    "allowed_certificate": {"context.certificate.subject": FOR_PEOPLE},
    "allowed_own_certificate": {
        "context": OWN_KEY,
        "subject.properties.roles": OWN_KEY,
        "subject.properties.segment": OWN_KEY,
    },
}


def number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def at(facts: Any, path: str) -> Any:
    for key in path.split("."):
        facts = facts[int(key)] if isinstance(facts, list) else facts[key]
    return facts


def data(name: str) -> Any:
    return json.loads((POLICIES / "data" / name / "data.json").read_text())


def _terms(facts: Any) -> Any:
    return data("limits")["sensitivities"][data("resources")[facts["resource"]["id"]]["sensitivity"]]


def _responds(facts: Any) -> bool:
    return bool(facts["resource"]["type"] == "behaviour")


def _is_open(facts: Any) -> bool:
    round_, now = facts["context"].get("round"), facts["context"]["time"]
    window = data("resources").get(facts["resource"]["id"], {"window": {"always": True}})["window"]
    inside = window["always"] or window["opens_minute_utc"] * 60 <= now % 86400 < window["closes_minute_utc"] * 60
    return inside and (round_ is None or round_["opens_at"] <= now < round_["closes_at"])


def _may(facts: Any) -> bool:
    action, context = facts["action"]["name"], facts["context"]
    named = facts["subject"]["properties"]["roles"]
    if action == "enrol":
        shown = context["token"]["roles"] if "token" in context else ["trainer", "consumer"]
        return bool(named) and all(role in shown for role in named)
    roles = [data("roles")[role] for role in named if isinstance(role, str) and role in data("roles")]
    granted = [role["grants"][action] for role in roles if action in role["grants"]]
    return bool(granted) and ("purpose" not in context or any(context["purpose"] in grant for grant in granted))


def _spares(facts: Any) -> bool:
    """Whether no hold is in the way; of an alert, whether there is room for one more."""
    held, own = facts["context"]["holds"]["current"], facts["subject"].get("properties", {}).get("segment")
    if not isinstance(held, dict):
        return False
    if facts["action"]["name"] == "alert":
        return len(held) <= 1
    return all(
        isinstance(hold, dict) and _names(hold.get("segment")) and hold["segment"] != own for hold in held.values()
    )


def _owes_step_up(facts: Any) -> bool:
    """Whether what was found in a prompt asks for a capability of just now."""
    findings = facts["context"].get("findings", {})
    is_prompt = facts["context"].get("direction") == "prompt"
    return bool(is_prompt and (findings["injection"] >= 0.75 or findings["coverage"] >= 0.8))


def _passes(facts: Any, signal: str, prompt: float, answer: float = 2.0) -> bool:
    """Whether a signal of a prompt, or of an answer, is less than what denies, and no step-up is owed."""
    is_prompt = facts["context"]["direction"] == "prompt"
    is_fresh = not _owes_step_up(facts) or at(facts, "context.capability.age_seconds") <= 30
    return bool(at(facts, f"context.findings.{signal}") < (prompt if is_prompt else answer) and is_fresh)


EXCEPTION = "context.exceptions.exc-019a7c2d4e5f00112233445566778899"


def _names(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _lasts(facts: Any) -> bool:
    now, starts_at, ends_at = (at(facts, name) for name in ("context.time", *_times()))
    is_short = number(ends_at, -1e308, 1e308) and number(starts_at, ends_at - 90 * 86_400, 1e308)
    return is_short and starts_at <= now < ends_at


def _times() -> tuple[str, str]:
    return f"{EXCEPTION}.starts_at", f"{EXCEPTION}.ends_at"


def _secret(facts: Any) -> Any:
    return data("secrets")[facts["resource"]["id"]]


def _trust_minimum(facts: Any) -> Any:
    if _responds(facts) or facts["resource"]["type"] == "service":
        return 0
    return (_secret(facts) if facts["resource"]["type"] == "secret" else _terms(facts))["trust_minimum"]


MEANT: dict[str, Callable[[Any, Any], bool]] = {
    "context.asked.requests": lambda value, _: number(value, 1, 19_960),
    "context.asked.tokens": lambda value, _: number(value, 0, 1_991_000),
    "context.leases": lambda value, _: number(value, 0, 63),
    "context.taken": lambda value, _: _has_room(value),
    "context.attachment.site": lambda value, _: isinstance(value, str),
    "context.attachment.line": lambda value, _: isinstance(value, str),
    "context.attachment.device_class": lambda value, _: isinstance(value, str),
    "context.results.tpm.age_seconds": lambda value, facts: number(
        value, 0, _secret(facts)["attestation"]["age_seconds"]
    ),
    "context.results.tpm.reference": lambda value, facts: (
        _names(value) and _secret(facts)["attestation"]["references"]["any"]
    ),
    "context.group.size": lambda value, _: number(value, 4, 64),
    "context.round.aggregator.results.snp.age_seconds": lambda value, _: number(value, 0, 900),
    "context.results.snp.age_seconds": lambda value, _: number(value, 0, 900),
    "context.finding.together": lambda value, _: number(value, 1, 50),
    "context.challenge.age_seconds": lambda value, _: number(value, 0, 120),
    "context.evidence.claims.platform": lambda value, _: isinstance(value, str),
    "context.platform.others": lambda value, _: number(value, 0, 1000),
    "subject.properties.key_thumbprint": lambda value, facts: isinstance(value, str),
    "subject.properties.trust.score": lambda value, facts: number(value, _trust_minimum(facts), 1),
    "subject.properties.attestation.age_seconds": lambda value, facts: (
        _terms(facts)["attestation"] == "none" or number(value, 0, 900)
    ),
    "subject.properties.roles": lambda value, facts: _may(facts),
    "resource.properties.digest": lambda value, facts: facts["action"]["name"] in ("inference", "gradient_submission"),
    "context.time": lambda value, facts: number(value, 0, 1e12) and _is_open(facts),
    "context.usage.requests": lambda value, facts: number(value, 0, 5999.9),
    "context.usage.tokens": lambda value, facts: number(value, 0, 200_000 - 88),
    "context.round.id": lambda value, facts: (
        isinstance(value, str) and value != "" and "capability" not in facts["context"]
    ),
    "context.round.opens_at": lambda value, facts: number(value, -1e308, at(facts, "context.time")),
    "context.round.closes_at": lambda value, facts: number(value, at(facts, "context.time") + 1e-9, 1e308),
    "context.integrity.release.registered_at": lambda value, facts: number(value, -1e308, at(facts, "context.time")),
    "context.holds.current": lambda value, facts: _spares(facts),
    "context.alert.fingerprint": lambda value, facts: isinstance(value, str),
    "context.inference.prompt_tokens": lambda value, facts: number(value, 0, 4096),
    "context.inference.max_output_tokens": lambda value, facts: number(value, 1, 199_076),
    "context.capability.age_seconds": lambda value, facts: number(value, 0, 30 if _owes_step_up(facts) else 300),
    "context.capability.id": lambda value, facts: isinstance(value, str),
    "context.reporter.roles": lambda value, facts: at(facts, "context.reporter.roles").count("gateway") > 0,
    "context.findings.injection": lambda value, facts: number(value, 0, 1) and _passes(facts, "injection", 0.93),
    "context.findings.secrets": lambda value, facts: number(value, 0, 1e308) and _passes(facts, "secrets", 100, 20),
    "context.findings.personal": lambda value, facts: (
        _counts(at(facts, "context.findings.personal")) and sum(at(facts, "context.findings.personal").values()) < 200
    ),
    "context.findings.near_duplicate": lambda value, facts: isinstance(value, bool),
    "context.findings.coverage": lambda value, facts: number(value, 0, 1) and _passes(facts, "coverage", 2),
    "context.capability.max_norm": lambda value, facts: number(value, at(facts, "context.evidence.norm"), 1e308),
    "context.evidence.parameters": lambda value, facts: number(value, 1, 1e9),
    "context.privacy.terms.clip_norm": lambda value, facts: number(value, 1, 1),
    "context.privacy.charges": lambda value, facts: number(value, 0, 1e308),
    "context.privacy.epsilon_spent": lambda value, facts: number(value, 0, at(facts, "context.privacy.epsilon_after")),
    "context.privacy.epsilon_after": lambda value, facts: number(value, at(facts, "context.privacy.epsilon_spent"), 4),
    "context.privacy.epsilon_alone": lambda value, facts: number(value, 0, 1),
    "context.evidence.norm": lambda value, facts: number(value, 1e-308, at(facts, "context.capability.max_norm")),
    "context.evidence.norm_ratio": lambda value, facts: number(value, 1e-308, 3),
    "context.evidence.cosine": lambda value, facts: number(value, 0, 1),
    "context.evidence.examples": lambda value, facts: number(value, 1, 100_000),
    "context.evidence.replay_cosine": lambda value, facts: number(value, -1, 0.9799),
    "context.behaviour.state": lambda value, facts: value in ("trusted", "watched"),
    "context.behaviour.state_age_seconds": lambda value, facts: number(value, 0, 1e308),
    "context.behaviour.e_value": lambda value, facts: number(value, 0, 1e308 if _responds(facts) else 49.9),
    "context.behaviour.p_value": lambda value, facts: number(value, 0.0501, 1),
    "context.behaviour.comparable": lambda value, facts: number(value, 0, 19.9),
    "context.behaviour.conforming": lambda value, facts: _counts(value),
    "context.behaviour.convicted": lambda value, facts: _counts(value),
    "context.behaviour.contributed": lambda value, facts: number(value, 0, 1e308),
    "resource.properties.owner": lambda value, facts: (
        facts["action"]["name"] == "exception:grant" and _names(value) and value != at(facts, "subject.id")
    ),
    "resource.properties.lasts_seconds": lambda value, facts: number(value, 1e-308, 90 * 86_400),
    f"{EXCEPTION}.reason": lambda value, facts: _names(value),
    f"{EXCEPTION}.approver": lambda value, facts: _names(value) and value != at(facts, "subject.id"),
    f"{EXCEPTION}.starts_at": lambda value, facts: _lasts(facts),
    f"{EXCEPTION}.ends_at": lambda value, facts: _lasts(facts),
    "context.token.expires_at": lambda value, facts: number(value, at(facts, "context.time") + 1e-9, 1e308),
    "context.credential.expires_at": lambda value, facts: number(value, at(facts, "context.time") + 1e-9, 1e308),
    "context.credential.age_seconds": lambda value, facts: number(value, 0, 31_536_000),
    "context.credential.claims": lambda value, facts: isinstance(value, dict) and value.get("model") == "hub-3",
    "context.certificate.expires_at": lambda value, facts: number(value, at(facts, "context.time") + 1e-9, 1e308),
    "context.certificate.serial": lambda value, facts: isinstance(value, str),
    "context.certificate.device": lambda value, facts: isinstance(value, str),
}

SPARE = {"context.evidence.replay_cosine", "context.attachment.line"}
"""What need not be there: of the first round there is no earlier one to compare with, and a site may have no lines."""

ALLOWED = [example for example in load_examples() if example.decision]


def places(value: Any, at_: Path = ()) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at_, key)
        yield from places(item, (*at_, key))


def changed(facts: Any, path: Path, value: Any) -> Any:
    mutant = copy.deepcopy(facts)
    holder = mutant
    for key in path[:-1]:
        holder = holder[key]
    if value is ABSENT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return mutant


def values_at(facts: Any, path: Path) -> Any:
    for key in path:
        facts = facts[key]
    return facts


def is_same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(number(one, 0, 1e308) for one in value.values())


def _has_room(taken: Any) -> bool:
    """Whether what was taken of every budget, as the example has them, is a number that leaves enough."""
    return isinstance(taken, dict) and all(
        number(taken[scope][span][unit], 0, 10_000)
        for scope in ("subject", "model", "segment")
        for span in ("hour", "day")
        for unit in ("requests", "tokens")
        if taken[scope][span][unit] != {"requests": 900, "tokens": 80_000}[unit]
    )


def is_free(example: Example, path: str) -> bool:
    free = [*FREE[example.package], *FREE_OF_EXAMPLE.get(example.name, {})]
    return any(path == place or path.startswith(place + ".") for place in free)


def is_meant(path: Path, value: Any, mutant: Any) -> bool:
    """Whether the field that changed, or the one above it, holds what a sound request may hold."""
    for length in range(len(path), 0, -1):
        place = ".".join(map(str, path[:length]))
        if place in SPARE and value is ABSENT:
            return True
        if place in MEANT and (length < len(path) or value is not ABSENT):
            return MEANT[place](at(mutant, place), mutant)
    return False


@pytest.mark.parametrize("example", ALLOWED, ids=lambda example: f"{example.package}-{example.name}")
def test_no_variant_that_breaks_a_requirement_is_allowed(example: Example, engine: Engine) -> None:
    variants = [
        (path, value, mutant)
        for path in places(example.input)
        for value in VALUES
        if not is_same(mutant := changed(example.input, path, value), example.input)
    ]
    wrong = []
    for start in range(0, len(variants), BATCH):
        batch = variants[start : start + BATCH]
        decisions = engine.ask({example.package: {str(i): mutant for i, (_, _, mutant) in enumerate(batch)}})
        for index, (path, value, mutant) in enumerate(batch):
            decision = decisions.get(str(index))
            place = ".".join(map(str, path))
            if (
                decision is not None
                and decision["allow"]
                and not is_free(example, place)
                and not is_meant(path, value, mutant)
            ):
                wrong.append((place, "deleted" if value is ABSENT else value))
    assert wrong == []
    assert len(variants) > 300


def test_no_variant_of_a_response_lets_its_subject_stand_better_but_by_what_counts(engine: Engine) -> None:
    """Of whom too much is known, only less evidence, or somebody's word, keeps from quarantine."""
    example = next(one for one in ALLOWED if one.name == "allowed_quarantined")
    variants = {
        (".".join(map(str, path)), str(value)): changed(example.input, path, value)
        for path in places(example.input)
        for value in VALUES
    }
    kept = {str(number): name for number, name in enumerate(variants)}
    decisions: dict[str, Any] = {}
    for start in range(0, len(kept), BATCH):
        some = list(kept)[start : start + BATCH]
        decisions |= engine.ask({"response": {one: variants[kept[one]] for one in some}})
    spared = {
        kept[one][0]
        for one, decision in decisions.items()
        if decision["allow"] and decision["obligations"]["state"] != "quarantined"
    }
    assert spared == {"context.behaviour.e_value"}


def test_no_variant_of_an_alert_has_more_held_than_its_data_say(engine: Engine) -> None:
    example = next(one for one in ALLOWED if one.name == "allowed_poisoning_campaign")
    variants = [changed(example.input, path, value) for path in places(example.input) for value in VALUES]
    found = []
    for start in range(0, len(variants), BATCH):
        batch = {str(i): mutant for i, mutant in enumerate(variants[start : start + BATCH])}
        found += [one["obligations"] for one in engine.ask({"alert": batch}).values() if one["obligations"]]
    assert len(found) > 100
    held = {"segment": "homes", "actions": ["gradient_submission"], "seconds": 900}
    assert all(one == {"hold": held} for one in found)


@pytest.mark.parametrize("example", ALLOWED, ids=lambda example: f"{example.package}-{example.name}")
def test_a_denied_variant_says_why(example: Example, engine: Engine) -> None:
    variants = [changed(example.input, path, None) for path in places(example.input)]
    for start in range(0, len(variants), BATCH):
        batch = {str(i): mutant for i, mutant in enumerate(variants[start : start + BATCH])}
        decisions = engine.ask({example.package: batch})
        assert set(decisions) == set(batch), "a package always answers"
        for decision in decisions.values():
            assert decision["allow"] != bool(decision["reasons"])


@pytest.mark.parametrize("facts", [{}, [], None, True, 0, "x", {"subject": []}, {"context": {"phase": "admit"}}])
def test_what_is_no_request_is_denied_by_every_package(engine: Engine, facts: Any) -> None:
    for package in FREE:
        decision = engine.decide(package, facts)
        assert decision is not None
        assert not decision["allow"]


WAIVER = next(example for example in ALLOWED if example.name == "allowed_by_exception")


def test_of_an_exception_no_part_is_spare_and_no_time_but_its_own_counts(engine: Engine) -> None:
    """What FREE and MEANT let pass of this example, said exactly."""
    now, (starts, ends) = at(WAIVER.input, "context.time"), (at(WAIVER.input, name) for name in _times())
    parts = [(*path.split("."), name) for path in [EXCEPTION] for name in at(WAIVER.input, EXCEPTION)]
    assert len(parts) == 8
    variants = {".".join(path): changed(WAIVER.input, path, ABSENT) for path in parts}
    for time in (starts - 0.5, ends, ends + 0.5, 0, 1e308, -1e308, 10**30):
        variants[f"time {time}"] = changed(WAIVER.input, ("context", "time"), time)
    for name, moments in {
        "starts_at": (now + 0.5, -1e308, ends + 1),
        "ends_at": (now, now - 0.5, 1e308, 10**30),
    }.items():
        for moment in moments:
            variants[f"{name} {moment}"] = changed(WAIVER.input, (*EXCEPTION.split("."), name), moment)
    decisions = engine.ask({"inference": variants})
    assert {name for name, decision in decisions.items() if decision["allow"]} == set()
    edges = {str(time): changed(WAIVER.input, ("context", "time"), time) for time in (starts, ends - 0.5)}
    assert all(decision["allow"] for decision in engine.ask({"inference": edges}).values())


MUST_HOLD = {
    "subject_active": ("status", "quarantined"),
    "subject_known": ("key_thumbprint", None),
    "role_granted": ("roles", []),
    "segment_allowed": ("segment", "nowhere"),
}


@pytest.mark.parametrize("code", MUST_HOLD)
def test_an_exception_waives_nothing_that_must_hold(engine: Engine, code: str) -> None:
    name, value = MUST_HOLD[code]
    waives = changed(WAIVER.input, (*EXCEPTION.split("."), "waives"), {"trust_sufficient": True, code: True})
    decision = engine.decide("inference", changed(waives, ("subject", "properties", name), value))
    assert decision is not None
    assert not decision["allow"]
    assert code in {reason["code"] for reason in decision["reasons"]}


def test_every_free_field_is_still_there() -> None:
    """A field that was renamed or that a requirement now reads must leave the list."""
    for example in ALLOWED:
        known = {".".join(map(str, path)) for path in places(example.input)}
        for place in FREE_OF_EXAMPLE.get(example.name, {}):
            assert place in known, (example.name, place)
    for package, free in FREE.items():
        known = {".".join(map(str, p)) for e in ALLOWED if e.package == package for p in places(e.input)}
        assert {place for place in free if place not in known} <= {"subject.properties.attestation.age_seconds"}
