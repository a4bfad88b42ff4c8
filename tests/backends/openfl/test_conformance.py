"""The conformance kit's view of the adapter: a few of its cases; all of them take a quarter of an hour.

ztfm adapter check adapters.openfl.conformance --python build/backends/openfl/bin/python
"""

import pytest

from tests.backends.kit import held, kept

pytestmark = pytest.mark.backends

CASES = ("no-pull", "sign-flip", "twin", "failing")


@pytest.mark.timeout(300)
def test_the_kit_holds_for_clients_that_pull_attack_copy_a_key_or_break() -> None:
    assert kept("openfl", "adapters.openfl.conformance", *CASES, seconds=280) == held(*CASES)
