"""What the examples and docs/gateway.md say is what there is."""

import re
import shlex
from pathlib import Path

import pytest

from adapters.gateway.command import parser
from adapters.gateway.dialects import DIALECTS
from adapters.gateway.passing import UPSTREAM_HEADERS
from adapters.gateway.rulefile import read_rules
from tests.adapters.gateway.lab import EXAMPLES

DOCUMENT = EXAMPLES.parents[1] / "docs" / "gateway.md"
FILES = {
    "nginx": ["nginx.conf"],
    "caddy": ["Caddyfile"],
    "haproxy": ["haproxy.cfg", "authorize.lua"],
    "envoy": ["envoy.yaml"],
    "traefik": ["traefik.yaml", "models.yaml"],
}


def commands(text: str) -> list[list[str]]:
    """Return the words of each authorizer's command in a text, after its name."""
    plain = re.sub(r"\\\n[#\s]*", "", text)
    return [shlex.split(found) for found in re.findall(r"python -m adapters\.gateway authorize (.+)", plain)]


@pytest.mark.parametrize("dialect", FILES)
def test_an_example_says_how_its_authorizer_is_started(dialect: str) -> None:
    [words] = commands((EXAMPLES / dialect / FILES[dialect][0]).read_text())
    given = parser().parse_args(words)
    assert given.dialect == dialect
    assert (EXAMPLES.parents[1] / given.rules).exists()


@pytest.mark.parametrize("dialect", FILES)
def test_an_example_hands_on_each_header_that_there_is(dialect: str) -> None:
    text = "".join((EXAMPLES / dialect / name).read_text() for name in FILES[dialect]).lower()
    assert [name for name in UPSTREAM_HEADERS if name.lower() not in text] == []


def test_the_document_names_each_dialect_file_and_header(tmp_path: Path) -> None:
    text = DOCUMENT.read_text()
    assert set(FILES) == set(DIALECTS)
    assert [
        name for files in FILES.values() for name in files if f"({name})" not in text and f"/{name})" not in text
    ] == []
    assert [name for name in UPSTREAM_HEADERS if f"`{name}`" not in text] == []
    [words] = commands(text)
    assert parser().parse_args(words).dialect == "nginx"
    [block] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "rules.json").write_text(block)
    assert [rule.path for rule in read_rules(tmp_path / "rules.json").rules] == [
        "/v1/infer",
        "/models/{resource}/infer",
    ]
