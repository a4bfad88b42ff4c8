"""The page of the contract stands alone: no script, no other host, well-formed, and whatever it shows is text."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from controlplane.api import openapi
from controlplane.api.application import ROUTES
from controlplane.api.problem_types import PROBLEM_TYPES
from controlplane.api.reference import policy, render, style
from tests.support import ControlPlane, Reply

_VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page; an element that is not closed in order fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.shown = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.links += [str(found["href"])] if "href" in found else []
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.fixture(scope="module")
def reply(plane: ControlPlane) -> Reply:
    return plane.call("GET", "/docs")


@pytest.fixture(scope="module")
def page(reply: Reply) -> Page:
    return Page(reply.body.decode())


def test_it_is_served_to_anybody_as_a_page(reply: Reply) -> None:
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_its_policy_lets_nothing_in_but_its_own_style(reply: Reply) -> None:
    stated = dict(part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";"))
    assert stated.pop("style-src").startswith("'sha256-")
    assert stated == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert policy() == reply.headers["Content-Security-Policy"]


def test_it_needs_no_script_and_no_other_host(page: Page, reply: Reply) -> None:
    assert page.elements.isdisjoint({"script", "iframe", "img", "link", "form", "object", "embed", "base"})
    assert not [name for name in page.attributes if name.startswith("on")]
    assert "style" not in page.attributes
    assert "src" not in page.attributes
    assert "url(" not in style()
    assert "@import" not in style()
    assert {link for link in page.links if not link.startswith("#")} == {"/openapi.json"}
    assert reply.body.count(b"<style>") == 1


def test_every_link_within_leads_somewhere_and_no_place_has_two_names(page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_every_operation_model_and_problem_is_on_it(page: Page) -> None:
    contract = openapi.document(ROUTES, "0.0.0")
    operations = {f"call-{item['operationId']}" for methods in contract["paths"].values() for item in methods.values()}
    models = {f"model-{name}" for name in contract["components"]["schemas"]}
    problems = {f"problem-{kind}" for kind in PROBLEM_TYPES}
    assert set(page.ids) >= operations | models | problems
    for route in ROUTES:
        assert route.path in page.shown
        assert route.summary in page.shown


def test_it_is_readable_on_a_phone_and_in_the_dark(reply: Reply) -> None:
    assert b'name="viewport" content="width=device-width, initial-scale=1"' in reply.body
    assert "prefers-color-scheme: dark" in style()
    assert re.search(r"@media \(max-width: \d+rem\)", style())


def test_what_a_contract_says_is_shown_as_text_and_never_as_markup() -> None:
    contract: dict[str, Any] = openapi.document(ROUTES, "0.0.0")
    hostile = "<script>alert(1)</script>\"'&`</code>`"
    contract["info"]["description"] = hostile
    operation = contract["paths"]["/v1/capabilities"]["post"]
    operation["summary"] = operation["description"] = hostile
    contract["components"]["schemas"]["Problem"]["description"] = hostile
    contract["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] = [hostile]
    contract["components"]["schemas"]["CapabilityRequest"]["examples"] = [{hostile: hostile}]
    found = Page(render(contract))
    assert "script" not in found.elements
    assert "alert(1)" in found.shown
