"""Carry batches to the policies in this process, on threads of their own: the event loop never waits for them."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from controlplane.bundles.combined import EmbeddedAnswer, EmbeddedPolicies, LoadedBundle
from controlplane.bundles.embedded import CompiledPolicy, EmbeddedFault
from controlplane.bundles.instances import EmbeddedLimits
from controlplane.bundles.verification import VerifiedBundle
from controlplane.contracts.policies import PolicyLayer
from controlplane.decisions.engine import BatchAnswer, BatchFault

_OPENS, _CLOSES = b'{"input":', b"}"
"""What a batch's body has around its facts: OPA's API is asked so, and one body serves both engines."""


class EmbeddedTransport:
    """A `BatchTransport` to the policies of this process. Until a bundle was offered it has no answer.

    Args:
        expected: the layers beside the base that must consent.
        combination: ``opa/layers.rego`` compiled; needed with layers.
        limits: the bounds of an evaluation; one that ran out of time keeps its thread until they stop it.

    Raises:
        NotLoadable: layers are expected and cannot be combined.
    """

    def __init__(
        self,
        *,
        expected: Sequence[PolicyLayer] = (),
        combination: bytes | None = None,
        limits: EmbeddedLimits | None = None,
    ) -> None:
        self._limits = limits or EmbeddedLimits()
        self._expected = tuple(expected)
        self._combination = CompiledPolicy(combination, {}, self._limits) if combination and expected else None
        self._bundles: dict[PolicyLayer, LoadedBundle] = {}
        self._policies = EmbeddedPolicies({}, self._expected, self._combination)
        self._threads = ThreadPoolExecutor(self._limits.instances, thread_name_prefix="policies")
        self._free = asyncio.Semaphore(self._limits.instances)

    async def offer(self, verified: VerifiedBundle) -> None:
        """Decide by this bundle of a layer from the next batch on.

        Raises:
            BundleRefused: it cannot be evaluated; what decided before goes on.
        """
        loaded = await asyncio.to_thread(LoadedBundle, verified, self._limits)
        before = self._bundles.get(loaded.layer)
        self._bundles[loaded.layer] = loaded
        self._policies = EmbeddedPolicies(self._bundles, self._expected, self._combination)
        if before is not None:
            await asyncio.to_thread(before.close)

    async def close(self) -> None:
        """Let running evaluations end, and give the memory back."""
        await asyncio.to_thread(self._threads.shutdown)
        for held in (*self._bundles.values(), self._combination):
            if held is not None:
                held.close()

    async def send(self, body: bytes, within: float) -> BatchAnswer:
        """Answer a batch; see `BatchTransport.send`."""
        if not (body.startswith(_OPENS) and body.endswith(_CLOSES)):
            raise BatchFault("malformed", whole=False)
        try:
            async with asyncio.timeout(within):
                answer = await self._evaluate(body[len(_OPENS) : -len(_CLOSES)])
        except TimeoutError:
            raise BatchFault("deadline", whole=True) from None
        except EmbeddedFault as fault:
            raise BatchFault(fault.cause, whole=fault.cause in ("deadline", "undefined")) from None
        return BatchAnswer(answer.documents, answer.revision)

    async def _evaluate(self, facts: bytes) -> EmbeddedAnswer:
        await self._free.acquire()
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._policies.answer, facts)
        work.add_done_callback(self._freed)
        # Whoever asked may have gone: a thread is not free before its evaluation ended.
        return await asyncio.shield(work)

    def _freed(self, work: "asyncio.Future[EmbeddedAnswer]") -> None:
        self._free.release()
        if not work.cancelled():
            work.exception()
