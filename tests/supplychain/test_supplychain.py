"""What is said of dependencies is what is there: the bill, the counts in the document, the pins, the audit."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest

from tests.supplychain.__main__ import main
from tests.supplychain.advisories import Advisory, Unreached, audited, read
from tests.supplychain.closing import INSTALLATIONS, ROOT, closure, count, modules
from tests.supplychain.listing import bill, written

DOCUMENT = (ROOT / "docs" / "supply-chain.md").read_text()


def test_the_document_counts_what_is_installed() -> None:
    said = dict(re.findall(r"^\| (.+?) \| `[^`]*` \| (\d+ \| \d+) \|$", DOCUMENT, re.MULTILINE))
    assert said == {name: " | ".join(map(str, count(tuple(extras)))) for name, extras in INSTALLATIONS.items()}


def test_the_bill_names_each_dependency_once_with_its_version_and_what_asks_for_it() -> None:
    found = bill(["server"])
    urls = [one["purl"] for one in found["components"]]
    assert len(set(urls)) == len(urls)
    assert f"pkg:pypi/sqlalchemy@{version('sqlalchemy')}" in urls
    assert any(one.startswith("pkg:golang/github.com/open-policy-agent/opa@v") for one in urls)
    assert not any(one.startswith(("pkg:pypi/torch@", "pkg:pypi/pytest@")) for one in urls)
    refs = {one["bom-ref"] for one in found["components"]} | {"ztfm"}
    edges = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    assert edges.keys() <= refs
    assert {end for ends in edges.values() for end in ends} <= refs
    assert f"pkg:pypi/greenlet@{version('greenlet')}" in edges[f"pkg:pypi/sqlalchemy@{version('sqlalchemy')}"]


def test_the_same_environment_gives_the_same_bill() -> None:
    assert written(["server"]) == written(["server"])


def test_the_bill_has_the_form_that_readers_of_bills_need() -> None:
    text = {"type": "string", "minLength": 1}
    component = {
        "type": "object",
        "required": ["type", "name", "version", "purl", "bom-ref"],
        "properties": {"type": {"enum": ["library"]}, "name": text, "version": text},
    }
    form = {
        "type": "object",
        "required": ["bomFormat", "specVersion", "components", "dependencies"],
        "properties": {
            "bomFormat": {"const": "CycloneDX"},
            "specVersion": {"const": "1.6"},
            "components": {"type": "array", "items": component, "minItems": 40},
        },
        "additionalProperties": True,
    }
    jsonschema.validate(json.loads(written(["server"])), form)


INSTALLERS = {"setuptools", "uv"}
"""What `pip freeze` leaves out, for it counts among what installs; the document says so."""


def test_whatever_an_installation_pulls_in_is_pinned_but_what_installs() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert {name for extras in INSTALLATIONS.values() for name in closure(tuple(extras))} - pins == INSTALLERS
    assert not closure(("server", "postgres")).keys() & INSTALLERS
    assert all(f"`{name}`" in DOCUMENT for name in INSTALLERS)


def test_a_module_file_of_go_is_read_with_what_is_asked_for_directly() -> None:
    text = "module a\n\ngo 1.24\n\nrequire b.example/c v1.2.3\n\nrequire (\n\td v0.1.0 // indirect\n\te v2.0.0\n)\n"
    assert modules(text) == {"b.example/c": ("v1.2.3", True), "d": ("v0.1.0", False), "e": ("v2.0.0", True)}


def test_what_is_known_against_a_pin_is_told_and_a_silent_service_is_no_good_news() -> None:
    weak = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
    fine = {"name": "b", "version": "1", "vulns": []}
    assert read(json.dumps({"dependencies": [weak, fine]})) == (2, [Advisory("a==1", "PYSEC-1", ("2",))])
    skipped = {"name": "c", "skip_reason": "not found"}
    for said in ("", "{}", json.dumps({"dependencies": [skipped]})):
        with pytest.raises(Unreached):
            read(said)
    with pytest.raises(Unreached):
        audited(Path("/nowhere/pip-audit"))


def test_the_command_writes_counts_and_says_when_nobody_could_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bill", "--extras", "--out", str(tmp_path / "new" / "bill.json")]) == 0
    assert len(json.loads((tmp_path / "new" / "bill.json").read_text())["components"]) > count(())[1]
    capsys.readouterr()
    assert main(["counts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base"] == dict(zip(("direct", "all"), count(()), strict=True))
    assert main(["audit", "--program", "/nowhere/pip-audit"]) == 2
    assert "nothing is known" in capsys.readouterr().err
