"""Answers as errors: each status its class, and whatever a server sends, no other exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import (
    Conflict,
    ControlPlaneError,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from adapters.wire import clock_hint, read_answer, read_keys_document, read_problem, write_body
from controlplane.contracts.access import Verification
from controlplane.contracts.rounds import Round, UpdateReport


def body(status: int, **more: object) -> bytes:
    return json.dumps({"type": "urn:ztfm:problem:x", "title": "T", "status": status, **more}).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, Invalid),
        (429, TooMany),
        (500, Unavailable),
        (503, Unavailable),
        (302, Unavailable),
    ],
)
def test_each_status_is_a_class(status: int, kind: type[ControlPlaneError]) -> None:
    error = read_problem(status, body(status) if status >= 400 else b"")
    assert type(error) is kind
    assert error.status == status


def test_only_a_503_that_policy_gave_is_certain_to_have_had_no_effect() -> None:
    def is_untouched(status: int, **more: object) -> bool:
        error = read_problem(status, body(status, **more))
        assert isinstance(error, Unavailable)
        return error.is_untouched

    assert is_untouched(503, decision_id="dec-1")
    assert not is_untouched(503)
    assert not is_untouched(500, decision_id="dec-1")


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("", 1.0), ("soon", 1.0), ("-3", 1.0), ("9" * 99, 3600.0)])
def test_the_time_to_wait_is_bounded(header: str, seconds: float) -> None:
    error = read_problem(429, body(429), header)
    assert isinstance(error, TooMany)
    assert error.retry_after == seconds


def test_what_others_add_to_a_problem_is_passed_over() -> None:
    added = read_problem(401, body(401, detail="Who are you?", error="invalid_client", error_description="no"))
    assert added.problem is not None
    assert added.problem.detail == "Who are you?"


def test_an_oauth_error_is_read_like_a_problem() -> None:
    reason = {"code": "role_granted", "message": "No role.", "remedy": "Enrol with it."}
    said = {"error": "access_denied", "error_description": "no", "reasons": [reason], "decision_id": "dec-1"}
    error = read_problem(403, json.dumps(said).encode())
    assert isinstance(error, Forbidden)
    assert (error.reasons[0].code, error.decision_id) == ("role_granted", "dec-1")
    assert "access_denied: no" in str(error)


@given(st.integers(300, 599), st.binary(max_size=200), st.text(max_size=10))
def test_whatever_a_server_answers_is_one_of_the_family(status: int, answer: bytes, header: str) -> None:
    error = read_problem(status, answer, header)
    assert isinstance(error, ControlPlaneError)
    assert str(status) in str(error)


@given(st.binary(max_size=200))
def test_an_answer_that_does_not_fit_is_unavailable(answer: bytes) -> None:
    with pytest.raises(Unavailable):
        read_answer(Round, answer)


@pytest.mark.parametrize("answer", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000])
def test_a_key_document_is_an_object(answer: bytes) -> None:
    with pytest.raises(Unavailable):
        read_keys_document(answer)


def test_what_was_left_out_stays_out_and_what_was_set_to_nothing_stays() -> None:
    report = UpdateReport(subject="dev-a", capability=None, verification=Verification(verified=False, cause="expired"))
    assert json.loads(write_body(report)) == {
        "subject": "dev-a",
        "capability": None,
        "verification": {"verified": False, "cause": "expired"},
    }


@pytest.mark.parametrize(("ahead", "said"), [(600, "600 s ahead of"), (-600, "600 s behind"), (3, ""), (-3, "")])
def test_a_clock_that_is_off_is_told_to_whoever_is_refused(ahead: int, said: str) -> None:
    hint = clock_hint("Sat, 28 Nov 2026 15:00:00 GMT", 1795878000.0 + ahead)
    assert (said in hint, "set it" in hint) == (True, bool(said))


@given(st.text(max_size=40))
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    assert isinstance(clock_hint(date, 0.0), str)
    assert clock_hint("", 0.0) == clock_hint("yesterday", 0.0) == ""
