import importlib
import json
import re
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperGroup as Group

from controlplane.api.application import ROUTES
from controlplane.cli.commands import app
from tests.docs.tables import TABLES, shown

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "adapters" / "README.md"])
CONTRACTS = (
    "access",
    "alerts",
    "attachments",
    "attestation",
    "attested",
    "behaviour",
    "budgets",
    "capability",
    "changes",
    "content",
    "decision",
    "devices",
    "events",
    "evidence",
    "exceptions",
    "explanation",
    "facts",
    "holds",
    "identity",
    "judged",
    "keys",
    "models",
    "oauth",
    "policies",
    "privacy",
    "problem",
    "rollback",
    "rounds",
    "search",
    "secrets",
    "segmentation",
    "shadow",
    "signals",
    "site",
    "standing",
    "statuslist",
    "svids",
    "workbench",
)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]
    return frozenset(plain)


def broken_links(path: Path) -> list[str]:
    """Return the links of a document that lead nowhere in this repository."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        leads = target.exists() and (not anchor or anchor in anchors(target))
        broken += [] if leads else [link]
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](#another) [c](gone.md) [d](https://example.org) `[e](f)`\n")
    assert broken_links(page) == ["#another", "gone.md", "f"]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_what_the_code_says(name: str) -> None:
    assert shown(name) == TABLES[name][1](), "run: python -m tests.docs.tables"


def _commands(program: str) -> set[tuple[str, Path]]:
    pattern = re.compile(rf"(?:^|[`\s/]){program} ([a-z][a-z -]*)", re.MULTILINE)
    return {
        (match[1].split(" -")[0].strip(), path)
        for path in DOCUMENTS
        for block in re.findall(r"^```sh\n(.*?)^```|`([^`\n]+)`", path.read_text(), re.MULTILINE | re.DOTALL)
        for match in pattern.finditer("\n".join(block))
    }


def test_every_make_target_that_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(words.split()[0], _id(path)) for words, path in _commands("make")}
    assert {target for target, _ in named} >= {"run", "test", "serve", "check", "setup"}
    assert [found for found in sorted(named) if found[0] not in targets] == []


def test_every_ztfm_command_that_documents_name_exists() -> None:
    program = typer.main.get_command(app)
    assert isinstance(program, Group)
    for words, path in sorted(_commands("ztfm"), key=str):
        first, _, rest = words.partition(" ")
        group = program.get_command(click.Context(program), first)
        assert group is not None, (words, path)
        if isinstance(group, Group) and rest:
            assert group.get_command(click.Context(group), rest.split()[0]) is not None, (words, path)


def _examples() -> list[tuple[str, str, str]]:
    blocks = re.compile(r"^```json (\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(_id(path), match[1], match[2]) for path in DOCUMENTS for match in blocks.finditer(path.read_text())]


@pytest.mark.parametrize(("path", "name", "text"), _examples(), ids=lambda part: part if len(part) < 40 else "")
def test_an_example_fits_its_contract(path: str, name: str, text: str) -> None:
    beside = (
        "controlplane.identifiers.documents",
        "controlplane.identifiers.shown",
        "controlplane.transparency.proofs",
    )
    modules = [*(f"controlplane.contracts.{module}" for module in CONTRACTS), *beside]
    models = [getattr(importlib.import_module(module), name, None) for module in modules]
    [model] = {model for model in models if isinstance(model, type) and issubclass(model, BaseModel)}
    model.model_validate_json(json.dumps(json.loads(text)))


def test_every_endpoint_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    documented = {
        (method, path)
        for method, path in re.findall(r"(GET|POST|PUT|DELETE) (/[\w./{}-]+)", text)
        if path not in {"/openapi.json", "/docs"}
    }
    assert {(route.method, route.path) for route in ROUTES} == documented


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    names = {re.split(r"[\[><=!; ]", item)[0].lower() for item in stated} - {"ztfm"}
    text = (ROOT / "docs" / "architecture.md").read_text().lower()
    assert [name for name in sorted(names) if name not in text] == []


def test_the_readme_stays_short_and_keeps_its_place_for_figures() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert "<!-- figures -->" in text


def test_decisions_are_numbered_and_listed() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        assert f"({path.name})" in listed
        assert path.read_text().startswith(f"# {path.name[:4]}: ")
        for part in ("**Situation.**", "**Decision.**", "**What follows.**", "**Left.**"):
            assert part in path.read_text(), (path.name, part)
