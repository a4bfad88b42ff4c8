"""No kind of problem leaves the edge that is not in the registry, and the registry says what to do about each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import api
from controlplane.api.problem_types import PREFIX, PROBLEM_TYPES, kinds_of, uri
from controlplane.api.problems import problem, unauthenticated

SOURCES = sorted(Path(api.__file__).parent.rglob("*.py"))
PUBLISHED = {
    "bad-http",
    "conflict",
    "denied",
    "http",
    "idempotency-answer-gone",
    "idempotency-in-progress",
    "idempotency-key-reused",
    "internal",
    "invalid-request",
    "method-not-allowed",
    "not-found",
    "timeout",
    "too-large",
    "too-many-requests",
    "unauthenticated",
    "unavailable",
    "unsupported-media-type",
}
"""Kinds that clients know already. Add to them; take none out."""


def calls(path: Path) -> Iterator[tuple[int, ast.Call]]:
    """Return the calls of ``problem(...)`` in a module, with their lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "problem":
            yield node.lineno, node


def constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_only_registered_kinds_are_raised_and_with_their_statuses(path: Path) -> None:
    for line, call in calls(path):
        kind, status = constant(call.args[0]), constant(call.args[1])
        if isinstance(kind, str):
            assert kind in PROBLEM_TYPES, f"{path.name}:{line}"
            statuses = PROBLEM_TYPES[kind].statuses
            assert status is None or not statuses or status in statuses, f"{path.name}:{line}"


def test_only_one_place_writes_a_type_uri_or_makes_a_document() -> None:
    for path in SOURCES:
        if path.name not in {"problem_types.py", "problems.py"}:
            text = path.read_text()
            assert PREFIX not in text, path.name
            made = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            assert [node.lineno for node in made if getattr(node.func, "id", "") == "Problem"] == [], path.name


def test_most_calls_are_looked_at() -> None:
    assert sum(1 for path in SOURCES for _ in calls(path)) >= 10


def test_an_unknown_kind_or_a_status_of_another_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        problem("no-such-kind", 400, "x")
    with pytest.raises(ValueError, match="status 400"):
        problem("conflict", 400, "x")


def test_no_published_kind_is_ever_taken_out() -> None:
    assert set(PROBLEM_TYPES) >= PUBLISHED


@pytest.mark.parametrize("kind", sorted(PROBLEM_TYPES))
def test_a_kind_says_its_cause_and_its_remedy(kind: str) -> None:
    known = PROBLEM_TYPES[kind]
    assert uri(kind) == f"urn:ztfm:problem:{kind}"
    assert kind == kind.lower()
    assert not known.title.endswith(".")
    for text in (known.cause, known.remedy):
        assert text.endswith(".")
    assert all(400 <= status <= 599 for status in known.statuses)


def test_what_a_status_means_has_no_second_meaning() -> None:
    assert kinds_of(401) == ["unauthenticated"]
    untaken = [
        "policy-refused",
        "alerts-untimely",
        "certificate-request-refused",
        "secret-unusable",
        "evidence-unusable",
    ]
    assert kinds_of(422) == ["idempotency-key-reused", *untaken]
    assert kinds_of(403) == ["denied"]
    assert "conflict" in kinds_of(409)
    assert kinds_of(417) == ["http"]


def test_the_title_is_the_kinds_and_the_detail_is_the_occurrences() -> None:
    document = problem("conflict", 409, "A round of this id exists", "Choose another.").problem
    assert document.title == PROBLEM_TYPES["conflict"].title
    assert document.detail == "A round of this id exists. Choose another."
    assert problem("internal", 500, PROBLEM_TYPES["internal"].title).problem.detail == ""
    assert unauthenticated("proof_stale").problem.title == PROBLEM_TYPES["unauthenticated"].title
