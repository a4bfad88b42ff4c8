"""What the bridge remembers of messages and of those who sent them."""

from adapters.jobs import refusals
from adapters.mqtt.desk import Given


def test_a_message_that_comes_again_is_answered_as_before() -> None:
    given = Given()
    given.begin("one", b"a")
    assert given.knows("one", b"a")
    assert given.answer("one", b"a") is None, "it is being carried out"
    given.end("one", b"a", "taken")
    assert given.answer("one", b"a") == "taken"
    assert not given.knows("other", b"a")
    assert not given.knows("one", b"b")


def test_a_fault_of_ones_own_or_of_the_network_is_not_remembered() -> None:
    given = Given()
    for number, refusal in enumerate(
        (refusals.fault(500), refusals.busy("", "unavailable"), refusals.unfit("", "broken"))
    ):
        message = bytes([number])
        given.begin("one", message)
        given.end("one", message, refusal)
        assert not given.knows("one", message), refusal.cause
    denied = refusals.denied("", "wrong_subject")
    given.begin("one", b"x")
    given.end("one", b"x", denied)
    assert given.answer("one", b"x") == denied


def test_of_each_member_the_latest_are_remembered_and_of_others_nothing() -> None:
    given = Given()
    for number in range(40):
        given.begin("one", bytes([number]))
        given.end("one", bytes([number]), "taken")
    given.begin("other", b"a")
    assert sum(given.knows("one", bytes([number])) for number in range(40)) == 32
    assert given.knows("one", bytes([39]))
    given.keep({"other"})
    assert not given.knows("one", bytes([39]))
    assert given.knows("other", b"a")
