"""Recorded decisions of the product's own examples, as its own OPA decides them."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from controlplane.authoring.folder import OTHER
from controlplane.decisions.decider import conclude
from controlplane.history.engine import deciding
from controlplane.history.records import Recorded
from controlplane.sidecar import OpaBinary, OpaNotFound, locate_opa
from tests.policies.support import POLICIES, Example, load_examples

NOW = 1_764_000_000.0
Record = Callable[[str], Recorded]


@pytest.fixture(scope="session")
def opa() -> OpaBinary:
    try:
        return locate_opa(os.environ)
    except OpaNotFound as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def records(opa: OpaBinary) -> dict[str, Recorded]:
    """Every example by its name, decided and recorded."""
    return asyncio.run(_decide(opa, load_examples()))


async def _decide(opa: OpaBinary, examples: list[Example]) -> dict[str, Recorded]:
    found = {}
    async with deciding(opa, POLICIES) as policies:
        for number, one in enumerate(examples):
            # What is decided about types of one's own is kept as all else that is decided for others.
            package = OTHER if one.package.startswith("extra/") else one.package
            answer = await policies.engine.ask(package, orjson.dumps(one.input))
            decision = conclude(answer, package, one.input, NOW + number)
            document: dict[str, Any] = {**decision.model_dump(), "facts": one.input}
            found[one.name] = Recorded(decision.id, package, document)
    return found


@pytest.fixture
def candidate() -> Iterator[Path]:
    """A copy of the product's policies, to be changed."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        shutil.copytree(POLICIES, Path(folder) / "policies")
        yield Path(folder) / "policies"
