"""What bounds an evaluation, and what does not become an answer."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.bundles.embedded import CompiledPolicy, EmbeddedFault, NotLoadable
from controlplane.bundles.instances import EmbeddedLimits
from tests.controlplane.bundles.rego import compiled

SMALL = """package probe

answers.seen := input.seen

answers.limit := data.limit

answers.when := time.parse_rfc3339_ns(input.when)

answers.text := sprintf(input.text, [input.seen])

answers.same := [left | some left in input.many; some right in input.many; left == right]

single := input.single
"""


@pytest.fixture(scope="module")
def wasm() -> bytes:
    return compiled(f"# METADATA\n# entrypoint: true\n{SMALL}", "probe/answers")


@pytest.fixture(scope="module")
def policy(wasm: bytes) -> Iterator[CompiledPolicy]:
    found = CompiledPolicy(wasm, {"limit": 7}, EmbeddedLimits(seconds=0.5, memory_pages=256))
    yield found
    found.close()


def _ask(policy: CompiledPolicy, **facts: Any) -> Any:
    return policy.ask("probe/answers", json.dumps(facts).encode())


def test_input_and_data_are_seen(policy: CompiledPolicy) -> None:
    assert _ask(policy, seen=[1, "x"]) == {"limit": 7, "seen": [1, "x"], "same": []}


def test_a_builtin_without_an_answer_leaves_its_rule_undefined_and_nothing_else(policy: CompiledPolicy) -> None:
    assert _ask(policy, when="1970-01-01T00:00:01Z")["when"] == 1_000_000_000
    assert _ask(policy, when="yesterday", seen=1) == {"limit": 7, "seen": 1, "same": []}


def test_a_builtin_that_fails_is_a_fault(policy: CompiledPolicy) -> None:
    with pytest.raises(EmbeddedFault) as caught:
        _ask(policy, text="%x", seen=5)
    assert caught.value.cause == "engine_error"
    assert _ask(policy, seen=1)["seen"] == 1


def test_an_evaluation_that_runs_too_long_is_stopped_and_the_next_one_answers(policy: CompiledPolicy) -> None:
    with pytest.raises(EmbeddedFault) as caught:
        _ask(policy, many=list(range(30_000)))
    assert caught.value.cause == "deadline"
    assert _ask(policy, seen=1)["seen"] == 1


def test_one_that_is_stopped_within_a_builtin_is_late_too(wasm: bytes) -> None:
    text = compiled("package probe\n\nanswers[id] := time.clock(moment) if some id, moment in input", "probe/answers")
    policy = CompiledPolicy(text, {}, EmbeddedLimits(seconds=0.05))
    try:
        with pytest.raises(EmbeddedFault) as caught:
            policy.ask("probe/answers", json.dumps(dict(enumerate(range(200_000)))).encode())
    finally:
        policy.close()
    assert caught.value.cause == "deadline"


def test_an_evaluation_that_needs_too_much_memory_is_a_fault_and_the_next_one_answers(policy: CompiledPolicy) -> None:
    with pytest.raises(EmbeddedFault) as caught:
        _ask(policy, many=["x" * 100] * 100_000)
    assert caught.value.cause in ("engine_error", "deadline")
    assert _ask(policy, seen=1)["seen"] == 1


@pytest.mark.parametrize("depth", [990, 2_000, 100_000])
def test_input_that_is_nested_too_deeply_is_a_fault(policy: CompiledPolicy, depth: int) -> None:
    with pytest.raises(EmbeddedFault):
        policy.ask("probe/answers", b'{"seen":' + b"[" * depth + b"]" * depth + b"}")
    assert _ask(policy, seen=1)["seen"] == 1


@pytest.mark.parametrize("facts", [b"", b"{", b"[1] x", b'{"seen": NaN', b"\xff", b'{"seen":"\xed\xa0\x80"}'])
def test_what_is_no_json_is_a_fault(policy: CompiledPolicy, facts: bytes) -> None:
    with pytest.raises(EmbeddedFault):
        policy.ask("probe/answers", facts)


def test_an_unknown_entry_point_is_undefined(policy: CompiledPolicy) -> None:
    with pytest.raises(EmbeddedFault) as caught:
        policy.ask("probe/other", b"{}")
    assert caught.value.cause == "undefined"


def test_an_undefined_document_is_a_fault() -> None:
    policy = CompiledPolicy(compiled(SMALL, "probe/single"), {})
    try:
        assert policy.ask("probe/single", b'{"single": null}') is None
        with pytest.raises(EmbeddedFault) as caught:
            policy.ask("probe/single", b"{}")
    finally:
        policy.close()
    assert caught.value.cause == "undefined"


@pytest.mark.parametrize(
    "call", ["time.now_ns()", 'http.send({"method": "get", "url": "http://x"})', "yaml.marshal(1)"]
)
def test_a_builtin_that_is_not_provided_keeps_the_policy_from_being_loaded(call: str) -> None:
    name = call.partition("(")[0]
    with pytest.raises(NotLoadable, match=name.replace(".", r"\.")):
        CompiledPolicy(compiled(f"package probe\n\nanswers.at := {call}", "probe/answers"), {})


@pytest.mark.parametrize("body", [b"", b"\0asm", b"x" * 1_000, b"\0asm\1\0\0\0"])
def test_what_is_no_compiled_policy_is_not_loaded(body: bytes) -> None:
    with pytest.raises(NotLoadable):
        CompiledPolicy(body, {})


def test_data_that_does_not_fit_is_not_loaded(wasm: bytes) -> None:
    with pytest.raises(NotLoadable):
        CompiledPolicy(wasm, {"limit": "x" * 2_000_000}, EmbeddedLimits(memory_pages=16))
    with pytest.raises(NotLoadable):
        CompiledPolicy(wasm, {"limit": "x" * 2_000}, EmbeddedLimits(data_bytes=1_000))


def test_memory_does_not_grow_with_the_number_of_questions(wasm: bytes) -> None:
    policy = CompiledPolicy(wasm, {"limit": 7}, EmbeddedLimits(instances=1, seconds=60.0))
    try:
        facts = json.dumps({"seen": "x" * 5_000, "when": "1970-01-01T00:00:01Z", "many": list(range(20))}).encode()
        expected = policy.ask("probe/answers", facts)
        with policy._borrowed() as instance:
            before = instance.memory_bytes
        for _ in range(2_000):
            assert policy.ask("probe/answers", facts) == expected
        with policy._borrowed() as instance:
            assert instance.memory_bytes == before
    finally:
        policy.close()


def test_threads_get_their_own_answers(wasm: bytes) -> None:
    policy = CompiledPolicy(wasm, {"limit": 7}, EmbeddedLimits(seconds=60.0))
    wrong: list[Any] = []

    def ask(number: int) -> None:
        for turn in range(100):
            sent = f"{number}/{turn}"
            if _ask(policy, seen=sent)["seen"] != sent:
                wrong.append(sent)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    policy.close()
    assert not wrong


def test_closed_policies_answer_nothing(wasm: bytes) -> None:
    policy = CompiledPolicy(wasm, {})
    policy.close()
    policy.close()
    with pytest.raises(EmbeddedFault):
        _ask(policy, seen=1)


def test_what_runs_while_policies_are_closed_is_still_stopped(wasm: bytes) -> None:
    policy = CompiledPolicy(wasm, {}, EmbeddedLimits(seconds=0.5))
    causes: list[str] = []

    def run_away() -> None:
        try:
            _ask(policy, many=list(range(30_000)))
        except EmbeddedFault as fault:
            causes.append(fault.cause)

    running = threading.Thread(target=run_away)
    running.start()
    while policy._lent == 0:
        pass
    policy.close()
    running.join(30)
    assert causes == ["deadline"]
    assert policy._factory.epoch._thread is None
