"""What policy masks is not recorded, wherever a caller put it; and nothing else is touched."""

import copy
import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from controlplane.contracts.base import StrictModel
from controlplane.contracts.facts import FACTS
from controlplane.contracts.facts.other import OtherFacts
from controlplane.contracts.log import LogTerms, MaskedPointer
from controlplane.decisions.masking import MARKER, Mask, Opening, openings

NAMES = ["password", "API_key", "ssn"]
AROUND: dict[str, Any] = {
    "time": 1.0,
    "network": {"address": "127.0.0.1"},
    "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
}
KNOWN: dict[str, Any] = {
    "status": "active",
    "roles": ["consumer"],
    "segment": "homes",
    "key_thumbprint": "k" * 43,
    "attestation": {"level": "none"},
    "trust": {"score": 0.5, "observations": 0},
}
INFERENCE: dict[str, Any] = {
    "subject": {"type": "device", "id": "dev-1", "properties": KNOWN},
    "action": {"name": "inference"},
    "resource": {"type": "model", "id": "m", "properties": {}},
    "context": {**AROUND, "holds": {"known": True, "current": {}}},
}
OTHER: dict[str, Any] = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "open"},
    "resource": {"type": "door", "id": "front"},
    "context": AROUND,
    "claims": {"subject": {}, "action": {}, "resource": {}, "context": {}},
}
ADMIN: dict[str, Any] = {
    "subject": {"type": "person", "id": "p-1", "properties": {"issuer": "i", "claims": {"groups": ["a"]}}},
    "action": {"name": "key:read"},
    "resource": {"type": "key", "id": "keys", "properties": {}},
    "context": AROUND,
}


def terms(*pointers: str, names: list[str] = NAMES) -> LogTerms:
    return LogTerms(names=names, pointers=list(pointers))


def kept(package: str, facts: dict[str, Any], stated: LogTerms | None) -> tuple[dict[str, Any], list[str]]:
    checked = FACTS[package].model_validate(facts)
    document = checked.model_dump_json(exclude_none=True).encode()
    less, masked = Mask(package, stated).kept(checked, document)
    return json.loads(less), masked


def put(facts: dict[str, Any], *path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(facts)
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    "name", ["password", "Password", "dbPassword", "db_pass-word", "PASSWORD", "api-key", "x.ApiKey"]
)
@pytest.mark.parametrize(
    ("package", "facts", "place"),
    [
        ("inference", INFERENCE, ("subject", "properties")),
        ("inference", INFERENCE, ("resource", "properties")),
        ("inference", INFERENCE, ("context",)),
        ("other", OTHER, ("claims", "subject")),
        ("other", OTHER, ("claims", "action")),
        ("other", OTHER, ("claims", "resource")),
        ("other", OTHER, ("claims", "context")),
    ],
)
def test_a_masked_name_is_kept_out_wherever_a_caller_adds_it(
    package: str, facts: dict[str, Any], place: tuple[str, ...], name: str
) -> None:
    less, masked = kept(package, put(facts, *place, name, value="hunter2"), terms())
    assert masked == ["/".join(("", *place, name))]
    assert less == put(facts, *place, name, value=MARKER)


def test_what_is_deep_in_claims_is_found() -> None:
    claim = {"list": [{"ok": 1, "password": "a"}, "password"], "a/b~c": {"ssn": 7}}
    less, masked = kept("other", put(OTHER, "claims", "context", "more", value=claim), terms())
    assert masked == ["/claims/context/more/a~1b~0c/ssn", "/claims/context/more/list/0/password"]
    found = less["claims"]["context"]["more"]
    assert found == {"list": [{"ok": 1, "password": MARKER}, "password"], "a/b~c": {"ssn": MARKER}}


def test_a_persons_claims_are_a_callers_words_too() -> None:
    facts = put(ADMIN, "subject", "properties", "claims", "ssn", value=["123"])
    less, masked = kept("admin", facts, terms())
    assert masked == ["/subject/properties/claims/ssn"]
    assert less["subject"]["properties"]["claims"] == {"groups": ["a"], "ssn": MARKER}


@pytest.mark.parametrize("name", ["passwords_changed", "max_tokens", "keys", "____", "pass word hint"])
def test_other_names_stay(name: str) -> None:
    facts = put(INFERENCE, "context", name, value="x")
    assert kept("inference", facts, terms()) == (facts, [])


def test_where_nothing_matches_the_document_is_not_even_read() -> None:
    checked = FACTS["inference"].model_validate(INFERENCE)
    assert Mask("inference", terms()).kept(checked, b"no JSON") == (b"no JSON", [])


@pytest.mark.parametrize(
    ("pointer", "masked"),
    [
        ("/context/network/address", ["/context/network/address"]),
        ("/context/network", ["/context/network"]),
        ("/context/*/address", ["/context/network/address"]),
        ("/*/id", ["/resource/id", "/subject/id"]),
        ("/subject/properties/roles/*", ["/subject/properties/roles/0"]),
        ("/subject/properties/roles/1", []),
        ("/context/absent", []),
        ("/context/time/deeper", []),
    ],
)
def test_a_pointer_keeps_out_what_stands_there_whoever_said_it(pointer: str, masked: list[str]) -> None:
    less, found = kept("inference", INFERENCE, terms(pointer))
    assert found == masked
    for one in found:
        node: Any = less
        for step in one.split("/")[1:]:
            node = node[int(step)] if isinstance(node, list) else node[step]
        assert node == MARKER


def test_what_lies_in_something_that_is_kept_out_is_not_named_beside_it() -> None:
    facts = put(OTHER, "claims", "context", "password", value={"ssn": "1"})
    _, masked = kept("other", facts, terms("/claims/context", "/claims/context/password/ssn"))
    assert masked == ["/claims/context"]


def test_a_step_that_a_caller_calls_a_star_is_no_wildcard() -> None:
    facts = put(OTHER, "claims", "context", "*", value={"ssn": "1"})
    facts["claims"]["context"]["name"] = {"ssn": "2", "other": 3}
    less, masked = kept("other", facts, terms(names=["ssn"]))
    assert masked == ["/claims/context/*/ssn", "/claims/context/name/ssn"]
    assert less["claims"]["context"]["name"]["other"] == 3


def test_without_terms_all_that_a_caller_added_is_kept_out_and_nothing_else() -> None:
    facts = put(INFERENCE, "context", "mood", value="good")
    facts["subject"]["properties"] = {**KNOWN, "colour": "red"}
    less, masked = kept("inference", facts, None)
    assert masked == ["/context/mood", "/subject/properties/colour"]
    assert put(less, "context", "mood", value="good") == put(facts, "subject", "properties", "colour", value=MARKER)
    less, masked = kept("other", put(OTHER, "claims", "subject", "role", value="admin"), None)
    assert (masked, less["claims"]["subject"]) == (["/claims/subject/role"], {"role": MARKER})
    assert kept("admin", ADMIN, None)[1] == ["/subject/properties/claims/groups"]
    assert kept("inference", INFERENCE, None) == (INFERENCE, [])


CLAIMS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "~/", "ssn", "*"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "ssn", "password"]), CLAIMS))
def test_no_masked_name_keeps_a_value_and_the_rest_stays(claims: dict[str, Any]) -> None:
    facts = put(OTHER, "claims", "context", value=claims)
    try:
        OtherFacts.model_validate(facts)
    except ValueError:
        return
    less, _ = kept("other", facts, terms())

    def blank(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: MARKER if name in {"ssn", "password"} else blank(inner) for name, inner in node.items()}
        return [blank(inner) for inner in node] if isinstance(node, list) else node

    whole = OtherFacts.model_validate(facts).model_dump(mode="json", exclude_none=True)
    assert less["claims"]["context"] == blank(whole["claims"]["context"])


def test_every_open_place_of_every_contract_is_known() -> None:
    opened = {
        package: {(".".join(place.path), place.is_map) for place in openings(model)} for package, model in FACTS.items()
    }
    common = {("subject.properties", False), ("resource.properties", False), ("context", False)}
    assert opened["inference"] == opened["model_access"] == opened["gradient_submission"] == common
    assert opened["other"] == {
        ("subject.properties", False),
        *((f"claims.{part}", True) for part in ("subject", "action", "resource", "context")),
    }
    assert opened["admin"] == {("subject.properties", False), ("subject.properties.claims", True), ("context", False)}
    assert opened["enrolment"] == {("context.credential.claims", True)}


def test_a_contract_whose_places_are_not_known_is_a_fault() -> None:
    class Inner(StrictModel):
        texts: dict[str, str]

    class Closed(StrictModel):
        numbers: dict[str, float]

    class Listed(StrictModel):
        closed: list[Closed]
        mapped: dict[str, Closed]
        inner: Annotated[list[Inner], "some"] | None = None

    class Mapped(StrictModel):
        inner: dict[str, Inner]

    assert list(openings(Inner)) == [Opening(("texts",), is_map=True)]
    assert list(openings(Closed)) == []
    for model in (Listed, Mapped):
        with pytest.raises(TypeError, match=rf"{model.__name__}\.inner"):
            list(openings(model))


@pytest.mark.parametrize("pointer", ["", "/", "/a", "a/b", "/a/", "//a", "/a/b~2", "/a/b~", "/a" * 13])
def test_what_is_no_pointer_of_two_steps_is_refused(pointer: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        TypeAdapter(MaskedPointer).validate_python(pointer)
