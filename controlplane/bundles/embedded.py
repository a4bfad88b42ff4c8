"""Evaluate policies in this process: the same ones, compiled by OPA to WebAssembly and signed with their bundle.

For where no OPA can run beside: a laptop, or a site that decides without contact. Blocking and safe to call from
threads; what goes wrong in an evaluation is a fault, never an answer.
"""

import contextlib
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from opapywasm.errors import OpaWasmError
from opapywasm.runtime import WasmtimeRuntimeFactory

from controlplane.bundles.builtins import BUILTINS
from controlplane.bundles.instances import EmbeddedLimits, Instance

FaultCause = Literal["deadline", "engine_error", "undefined", "malformed"]
"""What went wrong, in the words of the decision path."""


class EmbeddedFault(Exception):  # noqa: N818 - the family's word for what an engine does wrong
    """An evaluation has no answer; whatever was asked is denied.

    Attributes:
        cause: ``deadline`` when it was stopped, or no instance came free, in the time that it had.
    """

    def __init__(self, cause: FaultCause, why: str) -> None:
        super().__init__(why)
        self.cause: FaultCause = cause


class NotLoadable(Exception):  # noqa: N818 - a state, as callers see it
    """These policies cannot be evaluated here; the message says why and what to do."""


class CompiledPolicy:
    """One compiled policy with its data, in a few instances.

    Args:
        wasm: as ``opa build -t wasm`` makes it.
        data: the bundle's data.
        limits: the bounds.

    Raises:
        NotLoadable: it is no compiled policy, breaks the limits, or calls a builtin that is not provided.
    """

    def __init__(self, wasm: bytes, data: Mapping[str, Any], limits: EmbeddedLimits | None = None) -> None:
        self._limits = limits or EmbeddedLimits()
        self._data = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
        self._idle: queue.LifoQueue[Instance | None] = queue.LifoQueue()
        self._lock, self._lent, self._is_closed = threading.Lock(), 0, False
        try:
            self._factory = WasmtimeRuntimeFactory(wasm, max_memory_pages=self._limits.memory_pages)
        except OpaWasmError as error:
            raise NotLoadable(f"it is no compiled policy: {error}") from None
        try:
            first = self._instance()
        except OpaWasmError as error:
            self._factory.close()
            raise NotLoadable(f"it cannot be prepared: {error}") from None
        self._entrypoints = first.entrypoints
        for idle in (None,) * (self._limits.instances - 1) + (first,):
            self._idle.put(idle)
        missing = sorted(set(first.required) - set(BUILTINS))
        if missing:
            self.close()
            raise NotLoadable(_MISSING.format(", ".join(missing), ", ".join(sorted(BUILTINS))))

    @property
    def entrypoints(self) -> frozenset[str]:
        """What can be asked, as paths of packages and rules."""
        return frozenset(self._entrypoints)

    def ask(self, entrypoint: str, facts: bytes) -> Any:
        """Return the document of an entry point for a JSON object of facts.

        Raises:
            EmbeddedFault: there is none: undefined, failed, or not in time.
        """
        try:
            number = self._entrypoints[entrypoint]
        except KeyError:
            raise EmbeddedFault("undefined", f"the policies have no entry point {entrypoint}") from None
        try:
            with self._borrowed() as instance:
                found = instance.evaluate(number, facts)
        except OpaWasmError as error:
            cause: FaultCause = "deadline" if _OVERTIME in str(error) else "engine_error"
            raise EmbeddedFault(cause, str(error)[:500]) from None
        if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
            raise EmbeddedFault("undefined", f"{entrypoint} is undefined")
        return found[0].get("result")

    def close(self) -> None:
        """Give back the memory of what is idle, and of what is not once it is; nothing is answered from now on."""
        with self._lock:
            self._is_closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                _end(self._idle.get_nowait())
        self._stop_clock()

    def _instance(self) -> Instance:
        return Instance(self._factory, self._data, BUILTINS, self._limits)

    def _stop_clock(self) -> None:
        # An evaluation that still runs needs it: without, nothing would stop a runaway.
        with self._lock:
            is_over = self._is_closed and self._lent == 0
        if is_over:
            self._factory.close()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Instance]:
        with self._lock:
            if self._is_closed:
                raise EmbeddedFault("engine_error", "these policies are no longer in use")
            self._lent += 1
        try:
            with self._taken() as instance:
                yield instance
        finally:
            with self._lock:
                self._lent -= 1
            self._stop_clock()

    @contextlib.contextmanager
    def _taken(self) -> Iterator[Instance]:
        try:
            instance = self._idle.get(timeout=self._limits.seconds)
        except queue.Empty:
            raise EmbeddedFault("deadline", "no instance came free") from None
        try:
            if instance is None:
                instance = self._instance()
            yield instance
        finally:
            with self._lock:
                is_kept = instance is not None and not instance.is_spent and not self._is_closed
                self._idle.put(instance if is_kept else None)
            if not is_kept:
                _end(instance)


def _end(instance: Instance | None) -> None:
    if instance is not None:
        instance.close()


_OVERTIME = "time limit"
"""In the message of an evaluation that was stopped; there is no type for it."""

_MISSING = (
    "the policies call what is not provided without OPA: {}. Provided are {}, and what OPA compiles into a policy "
    "itself (docs/embedded.md)"
)
