"""A lower layer only narrows, and nothing that a base can bring switches it off: asked of a real OPA."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.authoring import create_layer
from controlplane.bundles.archive import write_archive
from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import Obligations, PolicyDecision
from controlplane.sidecar import OpaBinary
from controlplane.sidecar.bundle import read_policies
from tests.policies.support import POLICIES, Engine, Run, load_examples

ECHO = """package ztfm.batch

revision := data.system.bundles.ztfm.manifest.revision

decisions := object.get(input, "base", {})
"""
"""A base that decides whatever the test says; layers answer likewise."""


def _answering(layer: str) -> dict[str, bytes]:
    text = f'package {layer}.batch\n\nanswers := object.get(input, "{layer}", {{}})\n'
    return {f"{layer}/batch/batch.rego": text.encode()}


def _base(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "policies" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "policies"


@pytest.fixture(scope="module")
def echo(opa: OpaBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("echo")
    layers = {"tenant": _answering("tenant"), "site": _answering("site")}
    engine = Engine(opa, folder, _base(folder, {"ztfm/batch/batch.rego": ECHO}), layers)  # type: ignore[arg-type]
    yield engine
    engine.close()


JUNK = st.sampled_from([None, True, False, 0, 1, -1, 5.5, "", "x", "true", [], ["x"], {}, {"x": 1}, [None], [[]]])
CODES = st.lists(st.sampled_from(["window_open", "crew_present", "valve_closed"]), max_size=3, unique=True)
STATES = ("trusted", "watched", "recovering", "quarantined")
"""Where a subject may stand, the best first."""

RESPONSES: list[dict[str, Any]] = [{"state": state} for state in STATES] + [
    {"state": "quarantined", "rollback_rounds": 20}
]
REASON = {"code": "role_granted", "message": "No role grants this.", "remedy": "Get one."}
GRANTED = st.fixed_dictionaries(
    {
        "allow": st.just(True),
        "reasons": st.just([]),
        "obligations": st.sampled_from(
            [{}, {"watch": False}, {"watch": True}, {"max_norm": 2.5, "watch": False}, *RESPONSES]
        ),
        "rules": st.just(["role_granted", "network_allowed"]),
        "ttl_seconds": st.sampled_from([5, 30, 60.5, 300]),
    }
)
REFUSED = st.fixed_dictionaries(
    {
        "allow": st.just(False),
        "reasons": st.just([REASON]),
        "obligations": st.sampled_from([{}, {"watch": True}]),
        "rules": st.just(["role_granted"]),
        "ttl_seconds": st.just(0),
    }
)
ANSWER = st.fixed_dictionaries(
    {"required": CODES, "proven": CODES},
    optional={
        "ttl_seconds": st.sampled_from([5, 20, 60.25, 1000]),
        "watch": st.booleans(),
        "quarantine": st.booleans(),
    },
)
AGREED = CODES.map(lambda codes: {"required": codes, "proven": [*codes, "more"]})


def _broken(whole: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """One of these with a member replaced, added or left out, or something else altogether."""

    @st.composite
    def changed(draw: st.DrawFn) -> Any:
        document = dict(draw(whole))
        name = draw(st.sampled_from([*document, "allow", "obligations", "extra"]))
        if draw(st.booleans()):
            document[name] = draw(JUNK)
        else:
            document.pop(name, None)
        return document

    return changed() | JUNK


BASES = GRANTED | GRANTED | REFUSED | _broken(GRANTED) | _broken(REFUSED)
ANSWERS = AGREED | AGREED | ANSWER | _broken(ANSWER)
QUESTION = st.tuples(BASES, ANSWERS | st.just("silent"), ANSWERS | st.just("silent"))


def _read(document: Any) -> PolicyDecision | None:
    """As the control plane reads a decision: none where it makes an error of it."""
    try:
        decision = PolicyDecision.model_validate(document)
    except ValidationError:
        return None
    whole = not decision.reasons and decision.ttl_seconds >= 5 and decision.rules
    return decision if not decision.allow or whole else None


def _consents(answer: Any) -> bool:
    """The rule for a layer's answer, told again in another language."""
    if not isinstance(answer, dict) or not set(answer) <= {
        "required",
        "proven",
        "quarantine",
        "ttl_seconds",
        "watch",
    }:
        return False
    required, proven = answer.get("required"), answer.get("proven")
    if not isinstance(required, list) or not isinstance(proven, list):
        return False
    if not all(isinstance(code, str) and code for code in required) or not all(code in proven for code in required):
        return False
    lifetime = answer.get("ttl_seconds", 5)
    wishes = [answer.get("watch", False), answer.get("quarantine", False)]
    return all(isinstance(one, bool) for one in wishes) and type(lifetime) in (int, float) and lifetime >= 5


def _restrained(obligations: Obligations, answers: list[dict[str, Any]]) -> Obligations:
    """What consenting layers make of a base's obligations, told again."""
    watch, apart = (any(answer.get(wish) for answer in answers) for wish in ("watch", "quarantine"))
    if obligations.state is None:
        return obligations.model_copy(update={"watch": obligations.watch or watch})
    state = "watched" if watch and obligations.state == "trusted" else obligations.state
    return obligations.model_copy(update={"state": "quarantined" if apart else state})


def _holds(base: Any, answers: list[Any], document: Any) -> None:
    based, decision = _read(base), _read(document)
    allowed = decision is not None and decision.allow
    assert allowed == bool(based and based.allow and all(map(_consents, answers)))
    if decision is None or based is None:
        return
    if allowed:
        bounds = [based.ttl_seconds, *(answer["ttl_seconds"] for answer in answers if "ttl_seconds" in answer)]
        assert decision.ttl_seconds == min(bounds)
        assert decision.obligations == _restrained(based.obligations, answers)
    elif based.obligations.state is not None:
        # However a response was refused, nobody stands better for it, and who is set apart is set apart.
        apart = _restrained(based.obligations, [one for one in answers if _consents(one)])
        expected = apart if apart.state == "quarantined" else Obligations()
        assert decision.obligations == expected
    elif not based.allow:
        assert decision.reasons[: len(based.reasons)] == based.reasons
        # A layer that refuses too leaves what holds of the subject.
        watched = Obligations(watch=based.obligations.watch)
        assert decision.obligations == (based.obligations if all(map(_consents, answers)) else watched)
    assert set(based.rules) <= set(decision.rules)


@given(questions=st.lists(QUESTION, min_size=1, max_size=24))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_allowed_is_what_the_base_allows_and_every_layer_consents_to(
    echo: Engine, questions: list[tuple[Any, Any, Any]]
) -> None:
    asked: dict[str, dict[str, Any]] = {"base": {}, "tenant": {}, "site": {}}
    for number, (base, *answers) in enumerate(questions):
        asked["base"][str(number)] = base
        for layer, answer in zip(("tenant", "site"), answers, strict=True):
            if answer != "silent":
                asked[layer][str(number)] = answer
    decisions = echo.ask(asked)
    for number, (base, *answers) in enumerate(questions):
        _holds(base, answers, decisions.get(str(number)))


def test_reasons_of_a_layer_fit_the_contract(echo: Engine) -> None:
    base = {"allow": True, "reasons": [], "obligations": {}, "rules": ["role_granted"], "ttl_seconds": 60}
    longest = "c" * 57
    answer = {"required": [longest], "proven": []}
    decided = echo.ask({"base": {"q": base}, "tenant": {"q": answer}, "site": {"q": answer}})["q"]
    reasons = [AccessReason.model_validate(reason) for reason in decided["reasons"]]
    assert [reason.code for reason in reasons] == [f"tenant:{longest}", f"site:{longest}"]
    assert all(reason.message.endswith(".") and reason.remedy.endswith(".") for reason in reasons)
    assert _read(decided) is not None


@pytest.fixture(scope="module")
def site(opa: OpaBinary, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The rules that `ztfm policy new` makes for a site, about a model of the examples."""
    folder = tmp_path_factory.mktemp("site")
    create_layer(opa.path, folder, "site", "maintenance_window")
    data = folder / "site/data/maintenance_window/data.json"
    document = json.loads(data.read_text())
    data.write_text(json.dumps({**document, "models": {"fall-detection": True}}))
    return read_policies(folder)


def _pull(hour: float) -> dict[str, Any]:
    example = next(item for item in load_examples() if item.name == "allowed_restricted")
    context = example.input["context"]
    moved = {**context, "time": context["time"] // 86400 * 86400 + hour * 3600}
    opened = {**context["round"], "opens_at": moved["time"] - 20, "closes_at": moved["time"] + 100}
    return {**example.input, "context": {**moved, "round": opened}}


EAGER = """package ztfm.batch

revision := data.system.bundles.ztfm.manifest.revision

granted := {
	"allow": true,
	"obligations": {"waived": ["maintenance_window_open", "site:maintenance_window_open"]},
	"reasons": [],
	"rules": ["site:maintenance_window_open"],
	"ttl_seconds": 300,
}

decisions[id] := granted if {
	some facts in input
	some id, _ in facts
	granted.allow with data.site.batch.answers as {} with data.layers.expected as []
}
"""
"""A base that allows everything, and says of the site's requirement what it can."""


def test_a_base_that_allows_everything_does_not_open_the_sites_window(
    opa: OpaBinary, tmp_path: Path, site: dict[str, bytes]
) -> None:
    engine = Engine(opa, tmp_path, _base(tmp_path, {"ztfm/batch/batch.rego": EAGER}), {"site": site})
    try:
        inside, outside = (engine.decide("model_access", _pull(hour)) for hour in (2, 12))
    finally:
        engine.close()
    assert inside["allow"] is True
    assert outside["allow"] is False
    assert [reason["code"] for reason in outside["reasons"]] == ["site:maintenance_window_open"]
    assert outside["obligations"] == {}


def test_an_exception_of_the_base_waives_nothing_of_the_sites(
    opa: OpaBinary, tmp_path: Path, site: dict[str, bytes]
) -> None:
    policies = tmp_path / "copy"
    shutil.copytree(POLICIES, policies)
    waived = {
        "resource": "fall-detection",
        "action": "model_access",
        "waives": {"maintenance_window_open": True, "site:maintenance_window_open": True, "window_open": True},
        "approver": "operator@example.org",
        "reason": "Bench test.",
        "from": "2025-11-01T00:00:00Z",
        "until": "2025-11-20T00:00:00Z",
    }
    outside = _pull(12)
    exceptions = {outside["subject"]["id"]: {"bench": waived}}
    (policies / "data/exceptions/data.json").write_text(json.dumps(exceptions))
    engine = Engine(opa, tmp_path, policies, {"site": site})
    try:
        decision = engine.decide("model_access", outside)
        listed = engine.decide(
            "candidates",
            {"kind": "action", "subject_type": "device", "resource_type": "model", "after": "", "limit": 9},
        )
    finally:
        engine.close()
    assert decision["allow"] is False
    assert [reason["code"] for reason in decision["reasons"]] == ["site:maintenance_window_open"]
    assert listed == ["gradient_submission", "inference", "model_access"]


def test_a_site_that_is_expected_and_has_published_nothing_denies_everything(opa: OpaBinary, tmp_path: Path) -> None:
    engine = Engine(opa, tmp_path, POLICIES, {"site": None})
    try:
        decision = engine.decide("model_access", _pull(2))
    finally:
        engine.close()
    assert decision["allow"] is False
    assert [reason["code"] for reason in decision["reasons"]] == ["site:layer_unavailable"]


BEYOND = {
    "combination": ("combined/batch.rego", "package combined\n\nbatch := data.ztfm.batch\n"),
    "function": ("ztfm/batch/more.rego", "package combined\n\nis_active(_) := true\n"),
    "answers": ("site/batch/batch.rego", "package site.batch\n\nanswers := {}\n"),
    "expected": ("data.json", '{"layers": {"expected": []}}'),
    "active": ("data.json", '{"system": {"bundles": {"site": {"manifest": {"revision": "s"}}}}}'),
    "authorisation": ("ztfm/authz.rego", "package system.authz\n\nallow := true\n"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_opa_takes_no_base_with_more_than_it_owns(run_opa: Run, tmp_path: Path, name: str) -> None:
    file, text = BEYOND[name]
    # Packed by hand: `ztfm policy build` makes none of these, and what claims other roots is refused before OPA has it.
    files = {".manifest": json.dumps({"revision": "b2", "roots": ["ztfm", "data"]}), "ztfm/batch/batch.rego": EAGER}
    for extra, activates in (({}, True), ({file: text}, False)):
        bundle = tmp_path / "bundle.tar.gz"
        bundle.write_bytes(write_archive({key: body.encode() for key, body in {**files, **extra}.items()}))
        result = run_opa("eval", "--data", "opa/layers.rego", "--bundle", str(bundle), "data.ztfm.batch.revision")
        assert (result.returncode == 0) is activates, result.stdout + result.stderr
        assert ("do not permit" in result.stdout + result.stderr) is not activates
