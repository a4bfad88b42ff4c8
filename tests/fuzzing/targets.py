"""What is fuzzed: each parser of bytes that somebody else made, with bytes that it accepts to begin from."""

from functools import cache

from tests.fuzzing import documents, evidence, federation, gateways, packages, tokens
from tests.fuzzing.aiming import Target

_MADE = {
    name: make
    for made in (documents.MADE, evidence.MADE, federation.MADE, gateways.MADE, packages.MADE, tokens.MADE)
    for name, make in made.items()
}

NAMES = tuple(sorted(_MADE))


@cache
def target(name: str) -> Target:
    """A parser by its name."""
    return _MADE[name]()
