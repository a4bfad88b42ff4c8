import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from controlplane.authoring import AuthoringError, PolicyFolder, Tools, check
from controlplane.authoring.checking import (
    CHECKS,
    check_compile,
    check_data,
    check_format,
    check_lint,
    check_structure,
)
from controlplane.authoring.references import foreign_references
from controlplane.authoring.tools import builtin_names, call
from controlplane.contracts.builtins import FORBIDDEN
from tests.controlplane.authoring.breaking import INFERENCE, ONE, append, places, replace, write


def test_the_products_policies_pass(tools: Tools, product: PolicyFolder) -> None:
    assert [item for name in CHECKS if name != "lint" for item in CHECKS[name](tools, product)] == []


def test_a_misspelt_input_is_found_where_it_is(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, INFERENCE, "input.context.usage.requests >= 0", "input.context.usage.requets >= 0")
    [found] = check_compile(tools, folder)
    lines = (folder.root / INFERENCE).read_text().splitlines()
    assert (found.file, lines[found.line - 1].strip()) == (INFERENCE, "input.context.usage.requets >= 0")
    assert "requets" in found.message
    assert "policy-reference" in found.remedy


@pytest.mark.parametrize("builtin", sorted(FORBIDDEN))
def test_a_builtin_that_is_not_deterministic_or_not_bounded_is_refused(
    tools: Tools, small: PolicyFolder, builtin: str
) -> None:
    line = append(small, ONE, f"\nleak := {builtin}({{}})\n")
    [found] = check_compile(tools, small)
    assert (found.file, found.line) == (ONE, line + 1)
    assert builtin in found.message
    assert "input.context.time" in found.remedy


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine that serves a schema, and what was asked of it."""
    paths: list[str] = []

    class Serving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "object"}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Serving) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("where", ["schemas/input/sly.json", "metadata", "metadata, escaped", "data"])
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_schema_that_refers_to_something_elsewhere_is_found_and_nothing_is_loaded(
    tools: Tools, folder: PolicyFolder, asked: tuple[str, list[str]], where: str, scheme: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"type": "object", "required": ["no such secret"]}')
    address = f"{asked[0]}/schema" if scheme == "http" else secret.as_uri()
    sly = "package ztfm.sly\n\n# METADATA\n# schemas:\n#   - input: {}\nit := input.subject\n"
    if where == "data":
        write(folder.root / "data/limits/limits.schema.json", json.dumps({"$ref": address}))
    elif where == "metadata":
        write(folder.root / "ztfm/sly/sly.rego", sly.format(json.dumps({"$ref": address})))
    elif where == "metadata, escaped":
        write(folder.root / "ztfm/sly/sly.rego", sly.format('{"\\x24ref": ADDRESS}').replace("ADDRESS", address))
    else:
        write(folder.root / where, json.dumps({"$ref": address}))
        write(folder.root / "ztfm/sly/sly.rego", sly.format("schema.input.sly"))
    found = check_data(tools, folder) if where == "data" else check_compile(tools, folder)
    assert len(found) == 1
    assert address in found[0].message
    assert "no such secret" not in str(found)
    assert asked[1] == []


def test_what_lies_among_schemas_and_is_none_is_found(tools: Tools, folder: PolicyFolder) -> None:
    write(folder.root / "schemas/input/sly.json", "{$ref: 'file:///etc/passwd'}")
    assert places(check_compile(tools, folder)) == {("schemas/input/sly.json", 1)}


@pytest.mark.parametrize(
    "text",
    [
        '{"$ref": "other.json"}',
        '{"$ref": "file:///x", "$ref": "#/a"}',
        '{"a": [{"$id": "http://x/", "$ref": "#/y"}]}',
        '{"id": "//x"}',
    ],
)
def test_a_reference_is_foreign_unless_it_is_to_the_schema_itself(text: str) -> None:
    assert foreign_references(text)
    assert not foreign_references('{"properties": {"id": {"$ref": "#/definitions/a"}, "$ref": {"type": "string"}}}')


@pytest.mark.parametrize("text", ["a: 1", '{"a": NaN}', "[" * 100_000])
def test_what_is_no_json_has_no_references_that_could_be_judged(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        foreign_references(text)


def test_tools_are_told_nothing_of_our_secrets(tools: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZTFM_DATABASE_URL", "postgresql://ztfm:secret@db/ztfm")
    found = call(tools.opa, "eval", "--format", "json", "opa.runtime().env", cwd=tmp_path).stdout
    assert "PATH" in found
    assert "ZTFM" not in found


def test_what_is_forbidden_exists(tools: Tools) -> None:
    assert set(FORBIDDEN) <= builtin_names(tools.opa)


def test_what_does_not_parse_is_found_where_it_ends(tools: Tools, folder: PolicyFolder) -> None:
    line = append(folder, INFERENCE, "\nbroken if {\n")
    assert all(file == INFERENCE and at >= line for file, at in places(check_compile(tools, folder)))
    assert check_compile(tools, folder)


def test_what_is_not_formatted_is_found(tools: Tools, folder: PolicyFolder) -> None:
    append(folder, INFERENCE, "\nspare   :=   1\n")
    [found] = check_format(tools, folder)
    assert found.file == INFERENCE
    assert "opa fmt --write" in found.remedy


def test_a_package_outside_its_folder_a_long_file_and_a_folder_without_tests_are_found(
    tools: Tools, folder: PolicyFolder
) -> None:
    write(folder.root / "ztfm/lib/elsewhere/rules.rego", "package ztfm.lib.here\n" + "\n" * 100 + "one := 1\n")
    messages = {item.message for item in check_structure(tools, folder)}
    assert messages == {"The package is ztfm.lib.here.", "The file has 102 lines.", "Nothing tests this package."}


def test_a_decision_that_the_batch_does_not_ask_is_found(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, "ztfm/batch/batch.rego", "data.ztfm.inference.decision", "data.ztfm.inference.required")
    assert ("ztfm/inference/policy.rego", "input.inference") in {
        (found.file, found.remedy.split()[-1].rstrip(".")) for found in check_structure(tools, folder)
    }
    replace(folder, "ztfm/batch/batch.rego", "data.ztfm.inference.required", "data.ztfm.inference.decision")
    assert check_structure(tools, folder) == []


def test_data_that_does_not_fit_its_schema_is_found_on_its_line(tools: Tools, folder: PolicyFolder) -> None:
    path = folder.root / "data/limits/data.json"
    replace(folder, "data/limits/data.json", '"cosine_minimum": -0.2', '"cosine_minimum": "x"')
    [found] = check_data(tools, folder)
    assert found.file == "data/limits/data.json"
    assert '"cosine_minimum"' in path.read_text().splitlines()[found.line - 1]


def test_data_without_a_schema_or_that_is_no_json_is_found(tools: Tools, folder: PolicyFolder) -> None:
    write(folder.root / "data/free/data.json", "{}")
    write(folder.root / "data/limits/data.json", "{")
    assert places(check_data(tools, folder)) == {("data/free/data.json", 1), ("data/limits/data.json", 1)}


def test_an_exception_that_could_not_count_is_found_where_it_says_so(tools: Tools, folder: PolicyFolder) -> None:
    waives = {"window_open": True, "trust_steady": True}
    signed = {"resource": "m", "action": "model_access", "approver": "a", "reason": "b", "waives": waives}
    signed |= {"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    path = folder.root / "data/exceptions/data.json"
    write(path, json.dumps({"dev-1": {"one": signed}}, indent=2))
    [found] = check_data(tools, folder)
    assert found.file == "data/exceptions/data.json"
    assert '"trust_steady"' in path.read_text().splitlines()[found.line - 1]
    replace(folder, "data/limits/data.json", '"waivable": {', '"waivable": {\n    "trust_steady": true,')
    [found] = check_data(tools, folder)
    assert (found.file, "no reason" in found.message) == ("data/limits/data.json", True)
    replace(folder, "data/reasons/data.json", '"trust_sufficient": {', '"trust_steady": {},\n  "trust_sufficient": {')
    assert "data/exceptions/data.json" not in {found.file for found in check_data(tools, folder)}


@pytest.mark.parametrize("name", ["count", "time"])
def test_a_rule_with_the_name_of_a_builtin_is_found(tools: Tools, small: PolicyFolder, name: str) -> None:
    line = append(small, ONE, f"\n{name} := 1\n")
    found = [item for item in check_lint(tools, small) if item.check == "lint:rule-shadows-builtin"]
    assert places(found) == {(ONE, line + 1)}


def test_without_a_linter_nothing_passes_unseen(tools: Tools, small: PolicyFolder) -> None:
    with pytest.raises(AuthoringError, match=r"install --regal"):
        list(check(Tools(tools.opa), small))
    done = [one.check for one in check(Tools(tools.opa), small, lint=False)]
    assert done == [name for name in CHECKS if name != "lint"]


def test_what_needs_policies_that_compile_is_said_to_be_skipped(tools: Tools, folder: PolicyFolder) -> None:
    append(folder, INFERENCE, "\nbroken if {\n")
    done = {one.check: one for one in check(Tools(tools.opa), folder, lint=False)}
    assert done["compile"].findings
    skipped = {name for name, one in done.items() if one.skipped}
    assert skipped == {"structure", "descriptions", "requirements", "examples"}


def test_a_folder_of_ones_own_borrows_schemas_and_linter_rules(tools: Tools, folder: PolicyFolder) -> None:
    for path in sorted((folder.root / "schemas" / "input").iterdir()):
        path.unlink()
    (folder.root / "schemas" / "input").rmdir()
    (folder.root / "schemas").rmdir()
    replace(folder, INFERENCE, "input.context.usage.requests >= 0", "input.context.usage.requets >= 0")
    assert len(check_compile(tools, folder)) == 1


def test_a_broken_policy_is_told_by_the_first_check(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, INFERENCE, "input.context.usage.requests >= 0", "input.context.usage.requets >= 0")
    assert next(iter(check(Tools(tools.opa), folder, lint=False))).findings


def test_a_finding_is_json(tools: Tools, folder: PolicyFolder) -> None:
    append(folder, INFERENCE, "\nspare   :=   1\n")
    assert json.dumps([vars(item) for item in check_format(tools, folder)])


def test_named_checks_are_done_and_no_others(tools: Tools, small: PolicyFolder) -> None:
    done = [one.check for one in check(tools, small, only=("data",))]
    assert done == ["compile", "data"]
    assert [one.check for one in check(tools, small, lint=False, only=("lint",))] == ["compile"]


def test_a_finding_of_the_compilers_has_its_column(tools: Tools, small: PolicyFolder) -> None:
    line = append(small, ONE, "\nspare if {\n\tunheard_of\n}\n") + 2
    [found] = check_compile(tools, small)
    assert (found.file, found.line, found.column) == (ONE, line, 2)


def test_a_tool_that_is_ended_from_outside_says_nothing_of_the_policies(small: PolicyFolder) -> None:
    with pytest.raises(AuthoringError, match="sh was ended: it needed more time or memory"):
        call(Path("/bin/sh"), "-c", "kill -9 $$", cwd=small.root)
    with pytest.raises(AuthoringError, match="sh was ended"):
        call(Path("/bin/sh"), "-c", "echo 'fatal error: runtime: out of memory' >&2; exit 2", cwd=small.root)
