"""An engine that answers late, or rubbish, opens nothing, and what is right again is believed again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane.decisions.opa import MAX_RESPONSE_BYTES
from tests.controlplane.faults.liar import Change, Liar, lying
from tests.controlplane.test_faults import ask
from tests.support import Caller, ControlPlane, running, wait_until

DEADLINE = 0.5


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    with running() as honest, lying(honest.sidecar) as found:
        yield found


@pytest.fixture(scope="module")
def plane(liar: Liar) -> Iterator[ControlPlane]:
    """A control plane that asks an OPA elsewhere, through the liar."""
    folder = liar.socket.parent
    token = folder / "token"
    token.write_text("a-token-of-twenty-characters\n")
    token.chmod(0o600)
    outside: dict[str, Any] = {"opa_mode": "external", "opa_socket": liar.socket, "opa_token_file": token}
    with running(opa_deadline_seconds=DEADLINE, bundle_dir=folder / "bundles", **outside) as found:
        yield found


@pytest.fixture(scope="module")
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture(autouse=True)
def honest_again(liar: Liar) -> Iterator[None]:
    yield
    liar.honest()


def decision(change: Any) -> Change:
    """Change the one decision of an answer."""

    def _changed(document: dict[str, Any]) -> Any:
        [(name, decided)] = document["result"]["decisions"].items()
        return {"result": {**document["result"], "decisions": {name: change(decided)}}}

    return _changed


RUBBISH: dict[str, Change] = {
    "no object": lambda _: [],
    "no result": lambda _: {},
    "a result that is a list": lambda document: {"result": [document["result"]]},
    "decisions in a list": lambda document: {
        "result": {**document["result"], "decisions": list(document["result"]["decisions"].values())}
    },
    "decisions by no id": lambda document: {
        "result": {**document["result"], "decisions": {"": next(iter(document["result"]["decisions"].values()))}}
    },
    "no revision": lambda document: {"result": {"decisions": document["result"]["decisions"]}},
    "a revision that is a number": lambda document: {"result": {**document["result"], "revision": 7}},
    "errors beside the result": lambda document: {**document, "errors": [{"message": "conflict"}]},
    "a decision that is true": decision(lambda _: True),
    "an allow that is a word": decision(lambda decided: {**decided, "allow": "true"}),
    "an allow that is a number": decision(lambda decided: {**decided, "allow": 1}),
    "an allow and nothing else": decision(lambda _: {"allow": True}),
    "obligations that nobody knows": decision(
        lambda decided: {**decided, "obligations": {**decided.get("obligations", {}), "grant": "all"}}
    ),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_an_engine_that_answers_rubbish_opens_nothing(device: Caller, liar: Liar, name: str) -> None:
    assert ask(device).status == 201
    liar.change = RUBBISH[name]
    reply = ask(device)
    assert reply.kind == "unavailable"
    assert b"access_token" not in reply.body
    liar.honest()
    assert ask(device).status == 201


@pytest.mark.parametrize(
    ("raw", "status"),
    [(b'{"result": {"revi', 200), (b"", 200), (b" " * (MAX_RESPONSE_BYTES + 1), 200), (b"{}", 500), (b"<html>", 502)],
    ids=["cut off", "empty", "huge", "failed", "of a proxy"],
)
def test_what_is_no_answer_opens_nothing(device: Caller, liar: Liar, raw: bytes, status: int) -> None:
    liar.raw, liar.status = raw, status
    assert ask(device).kind == "unavailable"
    liar.honest()
    assert ask(device).status == 201


def test_the_answer_to_somebody_elses_question_opens_nothing(plane: ControlPlane, device: Caller, liar: Liar) -> None:
    assert ask(device).status == 201
    others = liar.answers[-1]
    other = plane.enrol("trainer")
    assert ask(other).status == 403
    liar.change = lambda _: others
    assert ask(other).kind == "unavailable"


def test_an_engine_that_is_slow_is_waited_for_until_the_deadline_and_never_beyond(device: Caller, liar: Liar) -> None:
    liar.delay = DEADLINE / 5
    assert ask(device).status == 201
    liar.delay = 10 * DEADLINE
    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: ask(device), range(16)))
    assert {reply.kind for reply in replies} == {"unavailable"}
    # Each waits for one deadline at most, and eight ask at once.
    assert time.monotonic() - started < 10 * DEADLINE
    liar.honest()
    wait_until(lambda: ask(device).status == 201, what="capabilities again")
