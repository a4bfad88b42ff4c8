import json
import shutil
from pathlib import Path

import pytest

from controlplane.authoring import (
    AuthoringError,
    LayerFolder,
    PolicyFolder,
    Tools,
    check,
    create_layer,
    explain,
    open_folder,
    read_request,
    run_tests,
)
from controlplane.authoring.checking import LAYER_CHECKS
from controlplane.authoring.layers import check_answers, check_confined, check_layer_examples
from controlplane.authoring.scaffolding_layers import TEMPLATE
from controlplane.contracts.facts import FACTS
from tests.controlplane.authoring.breaking import append, places, replace, write
from tests.controlplane.authoring.conftest import POLICIES

RULE = "site/rules/pump_window.rego"
BATCH = "site/batch/batch.rego"
REASONS = "site/reasons/data.json"


@pytest.fixture(scope="module")
def made(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site") / "policies"
    create_layer(tools.opa, root, "site", "pump_window")
    return root


@pytest.fixture
def site(made: Path, tmp_path: Path) -> PolicyFolder:
    """A site's policies as they are made, to break."""
    shutil.copytree(made, tmp_path / "site")
    return open_folder(tmp_path / "site", POLICIES, "site")


def findings(tools: Tools, folder: PolicyFolder, *, lint: bool = False) -> list[tuple[str, str]]:
    return [(item.check, item.message) for done in check(tools, folder, lint=lint) for item in done.findings]


@pytest.mark.parametrize(("layer", "name"), [("site", "pump_window"), ("tenant", "site_" + "abcdefgh" * 3 + "abc")])
def test_what_is_made_passes_every_check_and_its_tests(tools: Tools, tmp_path: Path, layer: str, name: str) -> None:
    create_layer(tools.opa, tmp_path / "new", layer, name)  # type: ignore[arg-type]
    folder = open_folder(tmp_path / "new", POLICIES, layer)  # type: ignore[arg-type]
    done = list(check(tools, folder))
    assert [one.check for one in done] == list(LAYER_CHECKS)
    assert [item for one in done for item in one.findings] == []
    results = run_tests(tools, folder)
    assert results.findings == []
    assert results.examples == 3
    assert results.coverage == {f"{layer}/batch": 1.0, f"{layer}/rules": 1.0}


def test_a_second_rule_stands_beside_the_first(tools: Tools, site: PolicyFolder) -> None:
    before = (site.root / BATCH).read_text()
    made = create_layer(tools.opa, site.root, "site", "night")
    assert site.root / BATCH not in made
    assert (site.root / BATCH).read_text() == before
    assert findings(tools, site, lint=True) == []
    assert run_tests(tools, site).findings == []
    assert set(site.reasons()) == {"night_open", "pump_window_open"}


def test_nothing_is_overwritten_and_nothing_half_made(tools: Tools, site: PolicyFolder, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()}
    with pytest.raises(AuthoringError, match="already"):
        create_layer(tools.opa, site.root, "site", "pump_window")
    for name in ("", "Pump", "../pump", "answer", "proven", "data", "a" * 33):
        with pytest.raises(AuthoringError):
            create_layer(tools.opa, site.root, "site", name)
    assert {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()} == before
    (site.root / REASONS).write_text("[]")
    with pytest.raises(AuthoringError, match="cannot be read"):
        create_layer(tools.opa, site.root, "site", "night")
    assert not (site.root / "site/rules/night.rego").exists()
    shutil.copytree(POLICIES, tmp_path / "base")
    with pytest.raises(AuthoringError, match="folder of its own"):
        create_layer(tools.opa, tmp_path / "base", "site", "night")


def test_what_was_begun_is_taken_away_when_it_cannot_be_finished(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_text

    def write_some(path: Path, text: str) -> int:
        if path.name == "reasons.schema.json":
            raise OSError("no space left")
        return written(path, text)

    monkeypatch.setattr(Path, "write_text", write_some)
    with pytest.raises(OSError, match="no space left"):
        create_layer(tools.opa, tmp_path / "new", "site", "night")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_file_of_the_template_is_used(made: Path) -> None:
    assert len([path for path in made.rglob("*") if path.is_file()]) == len(list(TEMPLATE.rglob("*.*")))


def test_a_folder_without_the_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match="ztfm policy new NAME --layer tenant"):
        open_folder(tmp_path, POLICIES, "tenant")
    assert not isinstance(open_folder(POLICIES, POLICIES), LayerFolder)


def test_a_file_outside_of_the_layers_folder_is_found(tools: Tools, site: PolicyFolder) -> None:
    write(site.root / "ztfm/batch/batch.rego", "package ztfm.batch\n\ndecisions := {}\n")
    write(site.root / "tenant/reasons/data.json", "{}")
    found = check_confined(tools, site)
    assert places(found) == {("ztfm/batch/batch.rego", 1), ("tenant/reasons/data.json", 1)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stranger if data.ztfm.batch.revision", "data.ztfm is not"),
        ("stranger if data.tenant.batch.answers", "data.tenant is not"),
        ("stranger if data.system.bundles", "data.system is not"),
        ("stranger if data[input.name]", "data[...] is not"),
        ("stranger if data.site.rules[data.layers.expected[0]]", "data.layers is not"),
        ("stranger if walk(data, [[], _])", "data as a whole is not"),
        ("stranger := [all | all := data]", "data as a whole is not"),
    ],
)
def test_a_layer_reads_nothing_of_others(tools: Tools, site: PolicyFolder, text: str, said: str) -> None:
    line = append(site, "site/rules/answer.rego", f"\n{text}\n") + 1
    found = check_confined(tools, site)
    assert places(found) == {("site/rules/answer.rego", line)}
    assert found[0].message.startswith(said)


def test_an_import_from_elsewhere_is_found(tools: Tools, site: PolicyFolder) -> None:
    replace(site, "site/rules/answer.rego", "package site.rules\n", "package site.rules\n\nimport data.data.roles\n")
    assert [item.message for item in check_confined(tools, site)] == ["data.data is not of the layer site."]


def test_a_layer_that_would_allow_is_found(tools: Tools, site: PolicyFolder) -> None:
    line = append(site, "site/rules/answer.rego", "\nallow := true\n") + 1
    assert places(check_confined(tools, site)) == {("site/rules/answer.rego", line)}
    member = '"proven": proven, "allow": true}'
    replace(site, "site/rules/answer.rego", '"proven": proven}', member)
    messages = [item.message for item in check_answers(tools, site)]
    assert len(messages) == len(FACTS)
    assert all("more than a layer may say (allow)" in message for message in messages)


def test_silence_is_found_with_the_question(tools: Tools, site: PolicyFolder) -> None:
    replace(site, BATCH, "some questions in input\n", "some questions in [input.model_access, input.other]\n")
    messages = [item.message for item in check_answers(tools, site)]
    assert sorted(messages) == [
        f"The batch does not answer to {package} {{}}." for package in sorted(FACTS.keys() - {"model_access", "other"})
    ]


@pytest.mark.parametrize("field", ["context", "action.name"])
def test_silence_where_a_field_is_missing_is_found(tools: Tools, site: PolicyFolder, field: str) -> None:
    replace(site, BATCH, "\tanswer := data", f"\t_ := facts.{field}\n\tanswer := data")
    messages = [item.message for item in check_answers(tools, site)]
    assert "The batch does not answer to model_access {}." in messages


def test_an_answer_of_another_form_is_found(tools: Tools, site: PolicyFolder) -> None:
    replace(site, "site/rules/answer.rego", '"proven": proven}', '"proven": proven, "ttl_seconds": "60"}')
    assert {item.message.partition(" to ")[0] for item in check_answers(tools, site)} == {
        "The batch has no answer of its form"
    }


def test_a_batch_without_answers_is_found(tools: Tools, site: PolicyFolder) -> None:
    replace(site, BATCH, "answers[id]", "replies[id]")
    with pytest.raises(AuthoringError, match="no batch that answers"):
        check_answers(tools, site)


def test_a_code_without_a_text_and_a_text_without_a_code_are_found(tools: Tools, site: PolicyFolder) -> None:
    texts = json.loads((site.root / REASONS).read_text())
    (site.root / REASONS).write_text(json.dumps({"pump_closed": texts["pump_window_open"]}))
    found = check_answers(tools, site)
    assert {item.message for item in found} == {
        "The reason pump_window_open has no text.",
        "No example and no decision requires pump_closed.",
    }
    assert (RULE, 6) in places(found)


def test_a_layer_that_asks_for_nothing_is_found(tools: Tools, site: PolicyFolder) -> None:
    replace(site, RULE, "if not pump_window_is_aside", 'if input.action.name == "nothing"')
    assert "Nothing is ever required." in {item.message for item in check_answers(tools, site)}


def test_what_reads_another_clock_does_not_compile(tools: Tools, site: PolicyFolder) -> None:
    replace(site, RULE, "input.context.time / 86400", "time.now_ns() / 86400")
    assert [message for name, message in findings(tools, site) if name == "compile"] == [
        "The builtin time.now_ns reads the wall clock, which no policy may."
    ]


def test_a_misspelt_fact_does_not_compile(tools: Tools, site: PolicyFolder) -> None:
    replace(site, RULE, "second := input.context.time", "second := input.context.tim")
    assert [name for name, _ in findings(tools, site)] == ["compile"]


def test_examples_are_of_both_sides_and_of_their_form(tools: Tools, site: PolicyFolder) -> None:
    path = site.root / "site/examples/model_access/denied_pump_window_closed.json"
    example = json.loads(path.read_text())
    path.write_text(json.dumps({**example, "title": "No sentence"}))
    assert [item.message for item in check_layer_examples(tools, site)] == ["The title is no sentence."]
    path.unlink()
    assert [item.message for item in check_layer_examples(tools, site)] == ["No example is denied."]


def test_an_example_that_is_decided_otherwise_is_found(tools: Tools, site: PolicyFolder) -> None:
    data = site.root / "site/data/pump_window/data.json"
    data.write_text(json.dumps({**json.loads(data.read_text()), "opens_at_second": 14000}))
    found = run_tests(tools, site).findings
    assert [(item.check, item.file) for item in found] == [
        ("example", "site/examples/model_access/allowed_pump_window_open.json")
    ]
    assert "It is denied for site:pump_window_open." in found[0].message
    assert found[0].remedy == "See why: ztfm policy eval model_access --input allowed_pump_window_open --layer site"


def test_a_denial_is_explained_by_its_rule(tools: Tools, site: PolicyFolder) -> None:
    text = (site.root / "site/examples/model_access/denied_pump_window_closed.json").read_text()
    found = explain(tools.opa, site, read_request(site, "model_access", text))
    assert (found.package, found.allow) == ("site.batch", False)
    [requirement] = found.requirements
    assert (requirement.code, requirement.file, requirement.line) == ("site:pump_window_open", RULE, 28)
    assert requirement.message == site.reasons()["pump_window_open"]["message"]
    assert [condition.text for condition in requirement.conditions] == ["second < window.closes_at_second"]
    text = (site.root / "site/examples/model_access/allowed_pump_window_open.json").read_text()
    found = explain(tools.opa, site, read_request(site, "model_access", text))
    assert (found.allow, [item.held for item in found.requirements]) == (True, [True])
