"""What is asked again, and for how long."""

import pytest

from adapters.errors import ControlPlaneError, Denied, TooMany, Unavailable
from adapters.guard.patience import patiently

HARMLESS = Unavailable("no connection", is_untouched=True)


class Clock:
    """Time passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def ask(clock: Clock, seconds: float, *outcomes: ControlPlaneError | str) -> tuple[str, int]:
    asked = iter(outcomes)
    count = 0

    def call() -> str:
        nonlocal count
        count += 1
        outcome = next(asked)
        if isinstance(outcome, ControlPlaneError):
            raise outcome
        return outcome

    return patiently(call, seconds, timer=clock, sleep=clock.sleep), count


def test_what_had_no_effect_is_asked_again() -> None:
    assert ask(Clock(), 10.0, HARMLESS, HARMLESS, "yes") == ("yes", 3)


def test_a_lost_answer_is_not_asked_for_again() -> None:
    with pytest.raises(Unavailable, match="gave no answer"):
        ask(Clock(), 10.0, Unavailable("gave no answer"), "yes")


def test_a_denial_is_not_asked_again() -> None:
    with pytest.raises(Denied):
        ask(Clock(), 10.0, Denied("no"), "yes")


def test_patience_ends() -> None:
    clock = Clock()
    with pytest.raises(Unavailable):
        ask(clock, 3.0, *[HARMLESS] * 99)
    assert clock.now - 100.0 <= 3.0
    assert len(clock.slept) > 2


def test_whoever_asked_too_often_waits_as_long_as_told_or_gives_up_at_once() -> None:
    clock = Clock()
    assert ask(clock, 10.0, TooMany("slow down", retry_after=4.0), "yes") == ("yes", 2)
    assert clock.slept == [4.0]
    with pytest.raises(TooMany):
        ask(Clock(), 3.0, TooMany("slow down", retry_after=4.0), "yes")
