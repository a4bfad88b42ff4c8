"""What the document says that acts cost."""

import re
from pathlib import Path

from tests.controlplane.identity.ledgers.evm.costs import measured

DOCUMENT = Path(__file__).parents[5] / "docs" / "ledger-evm.md"


async def test_the_document_says_what_acts_cost() -> None:
    said = dict(re.findall(r"^\| ([A-Z][^|]*[a-z]) \| (\d+) \|$", DOCUMENT.read_text(), re.MULTILINE))
    found = await measured()
    assert said.keys() == found.keys()
    for act, gas in found.items():
        # Signatures have more or fewer zeros.
        assert abs(int(said[act]) * 1000 - gas) <= max(1500, gas * 0.02), f"{act} takes {gas}: run the module `costs`"
