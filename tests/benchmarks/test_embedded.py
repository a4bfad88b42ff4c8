"""A small comparison, start to end; how fast the engines are, `benchmarks/` says."""

import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.embedded import compare
from controlplane.sidecar import locate_opa


def test_both_engines_answer_every_question() -> None:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        found = asyncio.run(compare(locate_opa(os.environ), Path(folder), 200, 1))
    assert found["questions"] == 200
    assert set(found["decisions_per_second"]) == {"opa", "embedded"}  # type: ignore[call-overload]
