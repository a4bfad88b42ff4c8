"""What state machines share: a loop of their own, and how far they go. `--hypothesis-profile thorough` goes further."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

Result = TypeVar("Result")

_FEW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def few(examples: int, steps: int) -> settings:
    """Return how far a machine goes in the suite: about a second or two."""
    if settings.get_current_profile_name() == "thorough":
        return settings(max_examples=40 * examples, stateful_step_count=4 * steps, **_FEW)  # type: ignore[arg-type]
    return settings(max_examples=examples, stateful_step_count=steps, **_FEW)  # type: ignore[arg-type]


class Machine(RuleBasedStateMachine):
    """A machine that runs coroutines, in a temporary folder."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory(prefix="machine-")
        self.folder = Path(self._folder.name)

    def run_now(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end."""
        return self._runner.run(work)

    async def close(self) -> None:
        """Close what the machine opened."""

    def teardown(self) -> None:
        """End."""
        self.run_now(self.close())
        self._runner.close()
        self._folder.cleanup()
