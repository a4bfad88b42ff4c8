"""Inputs that nobody means: the policies' examples with parts deleted, retyped, and pushed to extremes."""

import copy
import random
from collections.abc import Iterator
from typing import Any

EXTREMES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    1.0,
    0.1,
    -0.0,
    0.30000000000000004,
    1e-320,
    1e300,
    -1e300,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    2**64 + 1,
    10**30,
    "",
    " ",
    "0",
    "active",
    "device",
    "ünïcödé ✓ 漢字 \U0001f600",
    "nul\u0000inside",
    'quote" back\\slash \n\t\b\f\r /',
    "\u2028\uffff",
    "x" * 5_000,
    "Infinity",
    "NaN",
    "10.0.0.1",
    "10.0.0.0/8",
    "010.0.0.1",
    "256.1.1.1",
    "127.0.0.1",
    "192.168.1.1",
    "fe80::1",
    "::1",
    "::",
    "1:2:3:4:5:6:7:8:9",
    "2026-11-26T12:00:00Z",
    "2026-02-29T12:00:00Z",
    "9999-12-31T23:59:59Z",
    [],
    {},
    [[]],
    {"": ""},
    [None] * 50,
    list(range(3_000)),
    ["trainer"] * 2_000,
    {str(number): number for number in range(500)},
]


def _nested(depth: int) -> Any:
    found: Any = 1
    for level in range(depth):
        found = [found] if level % 2 else {"a": found}
    return found


EXTREMES += [_nested(10), _nested(100), _nested(300)]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _changed(source: Any, chance: random.Random, donors: list[Any]) -> Any:
    facts = copy.deepcopy(source)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        paths = list(_paths(facts))
        if not paths:
            return facts
        *way, last = chance.choice(paths)
        place = facts
        for step in way:
            place = place[step]
        match chance.randrange(8):
            case 0:
                del place[last]
            case 1 | 2 | 3 | 4:
                place[last] = copy.deepcopy(chance.choice(EXTREMES))
            case 5 if isinstance(place[last], int | float) and abs(place[last]) < 1e200:
                factor = chance.choice((-1, 0.5, 1.0, 1.0000000000000002, 2, 1e6, 1e25))
                place[last] = place[last] * factor + chance.choice((0, 1, -1, 0.5))
            case 6 if isinstance(place, dict):
                place[chance.choice(("", "allow", "a\u0301", "type", "nul\u0000"))] = place[last]
            case _:
                donor = chance.choice(donors)
                place[last] = copy.deepcopy(donor)
    return facts


def generated(examples: list[tuple[str, dict[str, Any]]], count: int, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield packages and their facts: each example as it is, then changed ones, all of it fixed by the seed."""
    chance = random.Random(seed)
    donors = [value for _, facts in examples for value in _leaves(facts)]
    yield from examples
    for number in range(count - len(examples)):
        package, facts = examples[number % len(examples)]
        yield package, _changed(facts, chance, donors)


def _leaves(facts: Any) -> Iterator[Any]:
    for path in _paths(facts):
        value = facts
        for step in path:
            value = value[step]
        yield value
