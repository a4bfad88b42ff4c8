import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authzen.pdp import Pdp, serving_records


@pytest.fixture(scope="package")
def pdp() -> Iterator[Pdp]:
    """A gateway's view of a policy decision point that knows the certification fixture."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder, serving_records(Path(folder)) as found:
        yield found
