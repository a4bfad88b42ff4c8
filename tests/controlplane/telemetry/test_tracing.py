"""What callers say of their traces is read strictly, and ignored in silence where it does not fit."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState

from controlplane.contracts.decision import Decision, Obligations
from controlplane.telemetry.tracing import NO_SPAN, UNTRACED, Parent, read_parent, said_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
_hex = st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}")


def state_of(*headers: str) -> tuple[tuple[str, str], ...]:
    found = read_parent([GOOD], headers)
    assert found is not None
    return found.state


@given(_hex, st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_what_is_well_formed_is_read_as_it_was_written(trace: str, span: int, flags: int) -> None:
    found = read_parent([f"00-{trace}-{span:016x}-{flags:02x}"])
    assert found == Parent(int(trace, 16), span, flags & 3)
    assert found.is_sampled == bool(flags & 1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        GOOD.upper(),
        GOOD + "-00",
        GOOD + "0",
        GOOD[:-1],
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"0-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01x",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 500,
        GOOD + "\n",
    ],
)
def test_what_is_malformed_is_ignored(header: str) -> None:
    assert read_parent([header]) is None


def test_two_parents_are_none() -> None:
    assert read_parent([GOOD, GOOD]) is None
    assert read_parent([]) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_parent([f"01-{TRACE}-{SPAN}-01-more"]) == read_parent([GOOD])


@given(st.lists(st.text(max_size=80), max_size=2), st.lists(st.text(max_size=80), max_size=3))
def test_nothing_that_anybody_sends_is_a_fault(parents: list[str], states: list[str]) -> None:
    read_parent(parents, states)
    read_parent([GOOD], states)


_key = st.from_regex(r"[a-z0-9][a-z0-9_*/-]{0,10}(@[a-z0-9]{1,15})?", fullmatch=True)


@given(st.lists(st.tuples(_key, st.text(st.characters(codec="ascii"), max_size=6)), max_size=6))
def test_a_state_that_is_read_is_one_that_opentelemetry_takes_whole(pairs: list[tuple[str, str]]) -> None:
    state = state_of(",".join(f"{key}={value}" for key, value in pairs))
    assert dict(TraceState(list(state)).items()) == dict(state)


def test_a_state_keeps_its_order_over_several_headers() -> None:
    assert state_of("b=2 , a=1", "t@v=x") == (("b", "2"), ("a", "1"), ("t@v", "x"))


@pytest.mark.parametrize(
    "state", ["a=1,a=2", "a", "A=1", "a=\t", ",".join(f"k{n}=1" for n in range(33)), "a=" + "x" * 511]
)
def test_a_state_that_does_not_fit_is_dropped_whole_and_the_parent_stays(state: str) -> None:
    assert state_of(state) == ()


def test_untraced_records_nothing_and_sends_nothing(logged: io.StringIO) -> None:
    with UNTRACED.request("GET /", None, {}) as request, UNTRACED.span("x") as inner:
        assert not request.is_recorded
        inner.note({"a": 1})
        inner.failed("x")
        assert UNTRACED.carrying("y", [UNTRACED.current()]) is NO_SPAN
        assert UNTRACED.outgoing() == {}
    assert logged.getvalue() == ""


def test_a_span_says_the_id_of_a_decision_and_neither_who_asked_nor_for_what() -> None:
    decision = Decision(
        id="dec-1",
        time=1.0,
        action="named-by-a-caller",
        subject="urn:ztfm:device:secret",
        resource="house-7",
        outcome="deny",
        reasons=[],
        obligations=Obligations(),
        rules=[],
        ttl_seconds=0.0,
        policy_revision="rev-1",
    )
    said = said_of("admin", decision)
    assert said == {
        "ztfm.decision.id": "dec-1",
        "ztfm.decision.action": "named-by-a-caller",
        "ztfm.decision.outcome": "deny",
        "ztfm.policy.revision": "rev-1",
    }
    assert said_of("other", decision)["ztfm.decision.action"] == "other"
