"""One policy compiled to WebAssembly, ready to be asked by one thread: memory, data and builtins of its own.

The parts are `opa-py-wasm`'s; they are put together here, for its facade makes an error of a builtin the failure of
the whole query, where Rego says that the expression is undefined.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from opapywasm import runtime
from opapywasm.abi import OpaAbi
from opapywasm.data import DataManager
from opapywasm.errors import OpaBuiltinError
from opapywasm.evaluator import Evaluator
from opapywasm.memory import MemoryCodec
from opapywasm.runtime import WasmtimeRuntimeFactory

from controlplane.bundles.builtins import Undefined

# That a policy of some size begins with more memory than the smallest is nothing to be told of each time.
logging.getLogger("opapywasm.runtime").setLevel(logging.ERROR)

# A module asks for as many pages as its constants take. opa-py-wasm 1.2.1 begins with two, has no argument for more,
# and takes the refusal for a fault of the module.
runtime._DEFAULT_MEMORY_PAGES = 16

_NO_VALUE = 0
"""The address by which a builtin tells the policy that it has no answer."""


@dataclass(frozen=True)
class EmbeddedLimits:
    """The bounds of an evaluation.

    Attributes:
        instances: evaluations at a time.
        seconds: an evaluation that runs longer is stopped; checked every 10 ms.
        memory_pages: memory of an instance, in pages of 64 KiB.
        input_bytes: longest input.
        result_bytes: longest answer.
        data_bytes: longest data of a bundle.
    """

    instances: int = 2
    seconds: float = 1.0
    memory_pages: int = 2048
    input_bytes: int = 8 * 1024 * 1024
    result_bytes: int = 8 * 1024 * 1024
    data_bytes: int = 16 * 1024 * 1024


class Instance:
    """A module in memory of its own; for one thread at a time.

    Args:
        factory: holds the compiled module.
        data: the policy's data, a JSON object.
        builtins: what the policy may call, by name.
        limits: the bounds.

    Raises:
        OpaWasmError: it is not a policy that `opa build` made, or does not fit the limits.
    """

    def __init__(
        self,
        factory: WasmtimeRuntimeFactory,
        data: bytes,
        builtins: Mapping[str, Callable[..., Any]],
        limits: EmbeddedLimits,
    ) -> None:
        self._limits = limits
        self.is_spent = False
        self._runtime = factory.create_runtime(self._call)
        try:
            abi = self._abi = OpaAbi(self._runtime)
            self._codec = MemoryCodec(
                abi,
                max_input_bytes=limits.input_bytes,
                max_data_bytes=limits.data_bytes,
                max_result_bytes=limits.result_bytes,
                max_cstring_scan_bytes=limits.result_bytes + 1,
            )
            self.entrypoints = self._codec.decode_entrypoints()
            self.required = self._codec.decode_builtins()
            self._builtins = {number: builtins.get(name) for name, number in self.required.items()}
            held = DataManager(abi, self._codec, max_data_bytes=limits.data_bytes)
            held.load_data(data)
            self._evaluator = Evaluator(
                abi,
                self._codec,
                held,
                max_input_bytes=limits.input_bytes,
                max_result_bytes=limits.result_bytes,
                deadline_ticks=factory.epoch.deadline_ticks(limits.seconds),
            )
        except BaseException:
            self._runtime.close()
            raise
        factory.epoch.ensure_running()

    def evaluate(self, entrypoint: int, facts: bytes) -> Any:
        """Return the result set of an entry point: ``[{"result": document}]``, or nothing where it is undefined.

        Raises:
            OpaWasmError: the evaluation failed, took too long or too much; the instance is spent then.
        """
        try:
            return self._evaluator.evaluate(facts, entrypoint)
        except BaseException:
            # What a policy that was stopped leaves in its memory is nobody's to trust.
            self.is_spent = True
            raise

    @property
    def memory_bytes(self) -> int:
        """What it holds of memory; it grows with the largest question so far, and never shrinks."""
        return self._abi.memory_len()

    def close(self) -> None:
        """Give the memory back."""
        self._runtime.close()

    def _call(self, number: int, _context: int, addresses: list[int]) -> int:
        builtin = self._builtins.get(number)
        if builtin is None:
            raise OpaBuiltinError(f"the policy calls a builtin that is not provided, number {number}")
        operands = [self._operand(address) for address in addresses]
        try:
            result = builtin(*operands)
        except Undefined:
            return _NO_VALUE
        except Exception as error:
            raise OpaBuiltinError(f"a builtin failed: {type(error).__name__}: {error}") from error
        return self._codec.python_object_to_opa_value(result, limit=self._limits.result_bytes, kind="builtin")

    def _operand(self, address: int) -> Any:
        # Not the codec's own reading: numbers must keep every digit.
        return json.loads(self._codec.read_cstring(self._abi.opa_json_dump(address)), parse_float=Decimal)
