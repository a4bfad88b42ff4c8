"""How long published policies take until they decide: ``python -m benchmarks.publishing --json``.

A control plane with its OPA serves a stream of requests over HTTP while one signed bundle after the other is published
into its store. What is timed is from `publish` returning until the first decision that carries the new revision
arrives; beside it, how long `publish` takes with its checks and tests. A request that fails for the change of policies
is an error of the run.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.plane import ControlPlane
from controlplane.api.services import EdgeLimits
from controlplane.api.serving import serving
from controlplane.app import build_app
from controlplane.bundles import BundleSigner
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.policies import Refusal, Release
from controlplane.entry import open_listeners
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.jose.keys import DeviceKey
from controlplane.parts import STORE
from controlplane.releases.building import build
from controlplane.releases.publishing import Publisher
from controlplane.releasing import build_publisher, trust_of
from controlplane.settings import Settings
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store
from controlplane.telemetry import configure_logs

MODEL = Resource(type="model", id="smart-home-intents")
CONTEXT = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=8))
PATIENCE_SECONDS = 30.0
CALLERS = 4
UNLIMITED = EdgeLimits(rate=1e6, burst=1e6, stranger_rate=1e6, stranger_burst=1e6)


class _Uncounted:
    def released(self, release: Release) -> None:
        """Count nothing."""

    def refused(self, refusal: Refusal) -> None:
        """Count nothing."""


class Asking:
    """Callers that ask for capabilities one after the other, and remember which revision decided first when."""

    def __init__(self) -> None:
        self.first_seen: dict[str, float] = {}
        self.answers = 0
        self._news = asyncio.Condition()

    async def ask(self, plane: ControlPlane) -> None:
        """Ask for ever.

        Raises:
            RuntimeError: a request was not allowed.
        """
        while True:
            grant = await plane.capability("inference", MODEL, "gateway-1", CONTEXT)
            if not grant.allowed:
                raise RuntimeError(f"a request failed while policies changed: {grant}")
            self.answers += 1
            if grant.policy_revision not in self.first_seen:
                self.first_seen[grant.policy_revision] = time.perf_counter()
                async with self._news:
                    self._news.notify_all()

    async def decided_by(self, revision: str) -> float:
        """Return when ``revision`` decided first, by `time.perf_counter`."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: revision in self.first_seen)
        return self.first_seen[revision]


async def measure(times: int, *, checked: bool = True) -> dict[str, Any]:
    """Publish so many times and return what it took.

    Args:
        times: how often.
        checked: whether `publish` checks and tests the policies, as it does for people.
    """
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        folder = Path(name)
        shutil.copytree(product_folder("policies"), folder / "policies")
        async with _running(folder) as (settings, store, asking):
            trust = trust_of(settings)
            checking = build_publisher(store, trust, time.time, _Uncounted())
            trusting = Publisher(store.releases, trust, lambda _: None, time.time, _Uncounted())
            published, decides = [], []
            for number in range(times):
                body = await asyncio.to_thread(_bundle, settings, folder / "policies", number)
                begun = time.perf_counter()
                release = await (checking if checked else trusting).publish(body, "base", "benchmark")
                returned = time.perf_counter()
                decides.append(max(0.0, await asking.decided_by(release.revision) - returned))
                published.append(returned - begun)
            return {
                "times": times,
                "decides_after_seconds": {"median": statistics.median(decides), "most": max(decides)},
                "publish_seconds": {"median": statistics.median(published), "most": max(published)},
                "requests": asking.answers,
            }


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[tuple[Settings, Store, Asking]]:
    settings, listeners = open_listeners(Settings(state_dir=folder / "state", listen_port=0))
    app = build_app(settings, limits=UNLIMITED)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(app, *listeners))
        store = app[STORE]
        asking, planes = Asking(), []
        for _ in range(CALLERS):
            plane = await stack.enter_async_context(ControlPlane(settings.resolved_public_url, DeviceKey.generate()))
            [token] = await EnrolmentTokens(store.tokens, time.time).issue(["consumer"], "homes", 3600.0)
            await plane.enrol(token, ["consumer"], "homes")
            planes.append(plane)
        async with asyncio.TaskGroup() as callers:
            tasks = [callers.create_task(asking.ask(plane)) for plane in planes]
            yield settings, store, asking
            for task in tasks:
                task.cancel()


def _bundle(settings: Settings, policies: Path, number: int) -> bytes:
    """Return a signed bundle whose content differs by a comment."""
    built_in = (product_folder("policies") / "ztfm" / "batch" / "batch.rego").read_text()
    (policies / "ztfm" / "batch" / "batch.rego").write_text(f"{built_in}\n# {number}\n")
    made = build(locate_opa(os.environ), policies)
    return BundleSigner.load_or_create(settings.resolved_policy_key_file).sign(made.files, "base", made.revision)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9, help="how often to publish")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    configure_logs("error")
    found = asyncio.run(measure(given.times))
    if given.json:
        print(json.dumps(found))
        return 0
    decides, publish = found["decides_after_seconds"], found["publish_seconds"]
    print(f"published {found['times']} times under {found['requests']:,} requests, of which none failed")
    print(f"from publish to the first decision: {decides['median']:.2f} s, at most {decides['most']:.2f} s")
    print(f"publish with checks and tests: {publish['median']:.2f} s, at most {publish['most']:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
