"""A slice gives out no more than was leased, counts what was used once, and says so when it goes back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.slices import Slice
from controlplane.contracts.budgets import BudgetLease


def slice_of(requests: int, tokens: int, expires_at: float = 60.0) -> Slice:
    lease = BudgetLease(
        id="lease-1",
        subject="dev-a",
        model="m",
        segment="homes",
        requests=requests,
        tokens=tokens,
        seconds=60.0,
        expires_at=expires_at,
        decision_id="dec-1",
    )
    return Slice(lease, 60.0, 0.0)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "settle", "undo", "lapse"]),
        st.integers(0, 40),
        st.integers(0, 40),
        st.floats(0, 20, allow_nan=False),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 8), st.integers(0, 100), _STEPS)
def test_whatever_happens_no_more_is_given_out_than_was_leased(
    requests: int, tokens: int, steps: list[tuple[str, int, int, float]]
) -> None:
    one, now, held = slice_of(requests, tokens), 0.0, dict[str, tuple[int, float]]()
    used = taken = 0
    for step, amount, which, passed in steps:
        now += passed
        if step == "take":
            name = one.take(amount, now, 30.0)
            fits = taken < requests and used + sum(most for most, _ in held.values()) + amount <= tokens
            assert (name is not None) == (fits and now < 60.0)
            if name is not None:
                taken, held[name] = taken + 1, (amount, now + 30.0)
        elif step == "lapse":
            late = {name for name, (_, until) in held.items() if now >= until}
            assert set(one.lapse(now)) == late
            used += sum(held.pop(name)[0] for name in late)
        elif held:
            name = sorted(held)[which % len(held)]
            most, _ = held.pop(name)
            if step == "undo":
                one.undo(name, now)
                taken -= 1
            else:
                used += min(amount, most)
                assert one.settle(name, min(amount, most), now)
            assert not one.settle(name, 1, now)
        use = one.use()
        assert (use.requests, use.tokens) == (taken, used + sum(most for most, _ in held.values()))
        assert use.requests <= requests
        assert use.tokens <= tokens
        assert one.tokens_left == tokens - use.tokens
        assert one.is_held == bool(held)


def test_what_a_model_used_beyond_its_reservation_is_counted_and_nothing_more_is_given_out() -> None:
    one = slice_of(5, 100)
    name = one.take(60, 0.0, 30.0)
    assert name is not None
    assert one.settle(name, 130, 1.0)
    assert one.take(0, 1.0, 30.0) is None
    assert (one.use().requests, one.use().tokens) == (1, 130)


def test_a_slice_goes_back_when_it_has_ended_or_nobody_needs_it_and_never_while_somebody_holds_some() -> None:
    one = slice_of(5, 100)
    assert not one.is_done(9.9, 10.0)
    assert one.is_done(10.0, 10.0)
    name = one.take(10, 20.0, 90.0)
    assert name is not None
    assert not one.is_done(100.0, 10.0)
    assert one.take(1, 60.0, 90.0) is None
    one.settle(name, 5, 100.0)
    assert one.is_done(100.0, 10.0)


def test_little_is_left_before_nothing_is_and_never_of_what_one_request_takes_whole() -> None:
    one = slice_of(8, 1000)
    for _ in range(5):
        one.take(10, 0.0, 30.0)
        assert not one.is_low(10, 0.0)
    one.take(10, 0.0, 30.0)
    assert one.is_low(10, 0.0)
    for _ in range(2):
        one.take(10, 0.0, 30.0)
    assert not one.is_low(10, 0.0)
    large = slice_of(8, 1000)
    large.take(600, 0.0, 30.0)
    assert large.is_low(600, 0.0)
    for requests, tokens in ((1, 1000), (8, 600)):
        scarce = slice_of(requests, tokens)
        scarce.take(600, 0.0, 30.0)
        assert not scarce.is_low(600, 0.0)
    free = slice_of(8, 0)
    free.take(0, 0.0, 30.0)
    assert not free.is_low(0, 0.0)
