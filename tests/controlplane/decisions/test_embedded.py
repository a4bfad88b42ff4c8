"""The embedded engine keeps the promises of a transport: in time or a fault, bounded, the loop never blocked."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controlplane.bundles import BundleRefused, BundleSigner, Trust, VerifiedBundle, verify
from controlplane.bundles.instances import EmbeddedLimits
from controlplane.bundles.layout import DATA, MANIFEST, WASM
from controlplane.decisions.coalescing import Coalescer, CoalescingLimits
from controlplane.decisions.embedded import EmbeddedTransport
from controlplane.decisions.engine import Answered, BatchFault, Unanswered
from tests.controlplane.bundles.rego import compiled

RULES = """package ztfm.batch

decisions[id] := {"seen": facts.seen} if some id, facts in input.inference

decisions[id] := [left | some left in many; some right in many; left == right] if {
	some id, facts in input.other
	many := numbers.range(1, facts.many)
}

decisions[id] := sprintf("%x", [facts.seen]) if some id, facts in input.admin
"""
SIGNER = BundleSigner.generate()
TRUST = Trust.of_key(SIGNER.public_key)


@pytest.fixture(scope="module")
def wasm() -> bytes:
    return compiled(RULES, "ztfm/batch/decisions")


def _bundle(wasm: bytes, revision: str) -> VerifiedBundle:
    manifest = {"revision": revision, "roots": ["ztfm", "data"], "rego_version": 1, "metadata": {"layer": "base"}}
    files = {MANIFEST: json.dumps(manifest).encode(), DATA: b"{}", WASM: wasm}
    return verify(SIGNER.sign(files, "base", revision), TRUST, "base")


@pytest.fixture
async def transport(wasm: bytes) -> AsyncIterator[EmbeddedTransport]:
    found = EmbeddedTransport(limits=EmbeddedLimits(seconds=0.4))
    await found.offer(_bundle(wasm, "a.1"))
    yield found
    await found.close()


def _body(**questions: Any) -> bytes:
    return json.dumps({"input": questions}, separators=(",", ":")).encode()


async def test_it_answers_with_documents_and_revision(transport: EmbeddedTransport) -> None:
    answer = await transport.send(_body(inference={"0": {"seen": 1}, "1": {}}), 5.0)
    assert (answer.documents, answer.revision) == ({"0": {"seen": 1}}, "a.1")


async def test_the_next_batch_is_decided_by_what_was_offered_last(transport: EmbeddedTransport, wasm: bytes) -> None:
    await transport.offer(_bundle(wasm, "a.2"))
    assert (await transport.send(_body(), 5.0)).revision == "a.2"


async def test_what_is_refused_changes_nothing(transport: EmbeddedTransport) -> None:
    with pytest.raises(BundleRefused):
        await transport.offer(_bundle(b"\0asm", "a.2"))
    assert (await transport.send(_body(), 5.0)).revision == "a.1"


async def test_without_a_bundle_there_is_no_answer() -> None:
    transport = EmbeddedTransport()
    with pytest.raises(BatchFault) as caught:
        await transport.send(_body(), 5.0)
    await transport.close()
    assert (caught.value.cause, caught.value.whole) == ("undefined", True)


async def test_a_runaway_is_a_fault_in_time_and_never_blocks_the_loop(transport: EmbeddedTransport) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    turning = asyncio.create_task(turn())
    with pytest.raises(BatchFault) as caught:
        await transport.send(_body(other={"0": {"many": 30_000}}), 0.2)
    turning.cancel()
    assert (caught.value.cause, caught.value.whole) == ("deadline", True)
    assert turns > 3


async def test_a_runaway_is_stopped_although_nobody_waits_and_its_thread_is_free_again(
    transport: EmbeddedTransport,
) -> None:
    for _ in range(4):
        with pytest.raises(BatchFault) as caught:
            await transport.send(_body(other={"0": {"many": 30_000}}), 0.05)
        assert caught.value.cause == "deadline"
    answer = await transport.send(_body(inference={"0": {"seen": 1}}), 20.0)
    assert answer.documents == {"0": {"seen": 1}}


async def test_a_question_that_fails_does_not_take_the_others_with_it(transport: EmbeddedTransport) -> None:
    engine = Coalescer(transport, _Unheard(), clock=asyncio.get_running_loop().time, limits=CoalescingLimits())
    bad, good = await asyncio.gather(engine.ask("admin", b'{"seen":1}'), engine.ask("inference", b'{"seen":1}'))
    await engine.close()
    assert bad == Unanswered("engine_error")
    assert good == Answered({"seen": 1}, "a.1")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input":', b'{"input":{}', b'[{"input":{}}]', b'{"input":"x"}'])
async def test_what_is_no_batch_is_a_fault_or_answers_nothing(transport: EmbeddedTransport, body: bytes) -> None:
    try:
        answer = await transport.send(body, 5.0)
    except BatchFault:
        return
    assert answer.documents == {}


class _Unheard:
    def call(self, result: str, seconds: float, size: int) -> None:
        pass

    def state(self, queued: int, *, circuit_open: bool) -> None:
        pass

    def fault(self, error: BaseException) -> None:
        raise error
