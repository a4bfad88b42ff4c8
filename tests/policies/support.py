"""The product's own policies in the product's own sidecar, and their examples."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from controlplane.authoring import PolicyFolder
from controlplane.authoring.folder import Example
from controlplane.contracts.policies import PolicyLayer
from controlplane.decisions.engine import BatchFault
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.sidecar import OpaBinary, Sidecar, SidecarOptions, build_bundle
from controlplane.sidecar.bundle import compile_bundle
from controlplane.sidecar.folders import beside

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"

Result = TypeVar("Result")


def load_examples() -> list[Example]:
    """Return all examples of the product's own policies, in order of package and name."""
    return PolicyFolder.open(POLICIES, POLICIES).examples()


class Engine:
    """The product's own sidecar over the product's own policies, or others, run on a loop of its own."""

    def __init__(
        self,
        opa: OpaBinary,
        folder: Path,
        policies: Path = POLICIES,
        layers: Mapping[PolicyLayer, Mapping[str, bytes] | None] | None = None,
    ) -> None:
        """Start it.

        Args:
            opa: the binary.
            folder: for what it keeps.
            policies: of the base.
            layers: those that are expected beside the base, each with its rules and data; none has no bundle.
        """
        base = folder / "bundle.tar.gz"
        self.revision = build_bundle(opa, policies, base)
        self._bundles: dict[PolicyLayer, bytes] = {"base": base.read_bytes()}
        for layer, files in (layers or {}).items():
            if files is not None:
                self._bundles[layer] = compile_bundle(opa, files, {"roots": [layer]}, f"{layer}1", layer)
            self.revision += f"+{layer}:{layer}1" if files is not None else f"+{layer}:none"
        self._options = SidecarOptions(opa, folder / "opa", beside(), layers=("base", *(layers or {})))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._sidecar, self._transport = self._run(self._start())

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> tuple[Sidecar, OpaTransport]:
        sidecar = Sidecar(self._options)
        for layer, body in self._bundles.items():
            sidecar.offer(layer, body)
        await sidecar.start()
        transport = OpaTransport(OpaAddress(token=sidecar.token, socket=self._options.socket))
        deadline, active = time.monotonic() + 20, ""
        while active != self.revision:
            if time.monotonic() > deadline:
                await transport.close()
                await sidecar.stop()
                raise TimeoutError(f"{self.revision} is to decide, and {active or 'nothing'} does")
            with suppress(BatchFault):
                active = (await transport.send(b'{"input":{}}', 1.0)).revision
            await asyncio.sleep(0.0 if active == self.revision else 0.05)
        return sidecar, transport

    def ask(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the decisions on questions by package and id; those on resources of one's own go to ``other``."""
        routed: dict[str, dict[str, Any]] = {}
        for package, asked in questions.items():
            routed.setdefault("other" if package.startswith("extra/") else package, {}).update(asked)
        body = json.dumps({"input": routed}).encode()
        answer = self._run(self._transport.send(body, 20.0))
        assert answer.revision == self.revision
        return dict(answer.documents)

    def decide(self, package: str, facts: Any) -> Any:
        """Return the decision on one question; none when the package left it undefined."""
        return self.ask({package: {"only": facts}}).get("only")

    def request(self, method: str, path: str, token: str | None) -> int:
        """Return the status of a bare request to OPA's own API; ``""`` for the sidecar's token."""
        return self._run(self._request(method, path, self._sidecar.token if token == "" else token))

    async def _request(self, method: str, path: str, token: str | None) -> int:
        reader, writer = await asyncio.open_unix_connection(str(self._options.socket))
        held = f"Authorization: Bearer {token}\r\n" if token is not None else ""
        request = f"{method} {path} HTTP/1.1\r\nHost: opa\r\n{held}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        writer.write(request.encode())
        status = int((await reader.readline()).split()[1])
        writer.close()
        await writer.wait_closed()
        return status

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        await self._transport.close()
        await self._sidecar.stop()


Run = Callable[..., subprocess.CompletedProcess[str]]
"""Runs a tool in the root of the checkout and returns what came of it."""


def rego_files(*, tests: bool = False) -> list[Path]:
    """Return the rules, or the tests of them."""
    return [path for path in sorted(POLICIES.rglob("*.rego")) if path.name.endswith("_test.rego") == tests]
