"""Bytes changed at random, where nothing that follows coverage is installed."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.fuzzing.aiming import Target

SLOW_SECONDS = 2.0
"""No parser may take longer for any bytes; a busy machine is allowed for."""

_NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

_VALUES = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|\[\]|\{\}')
"""What looks like a value, or a name, of JSON."""

_OTHERS = [
    *(b"null", b"true", b"[]", b"{}", b'""', b"-1", b"0", b"1.5", b"1e999", b"NaN", b"-0", b'"\\ud800"', b'"\\u0000"'),
    *(b"9" * 400, b"9" * 5000, b"1e308", b'{"\\ud800":"\\udfff"}', b'{"a":1,"a":2}', b'"' + "\u0663".encode() + b'"'),
    *(b"[" * 300, b"[" * 300 + b"]" * 300, b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 300 + b"1" + b"}" * 300),
]
"""What stands in for one: another type, what not every reader reads alike, and what takes much to read."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        tried: as many inputs.
        accepted: as many of them were accepted.
        slowest: seconds of the slowest one.
    """

    tried: int
    accepted: int
    slowest: float


class Crashed(AssertionError):  # noqa: N818 - named for what happened
    """An input made a parser raise what it must not, or took too long."""

    def __init__(self, data: bytes, why: str) -> None:
        super().__init__(f"{why}; the input in hexadecimal: {data.hex()}")
        self.data = data


def mutations(seeds: list[bytes], random: Random) -> Iterator[bytes]:
    """Yield changed seeds, each changed 1 to 8 times; without end."""
    while True:
        data = bytearray(random.choice(seeds))
        for _ in range(1 << random.randrange(4)):
            data = _changed(data, seeds, random)
        yield bytes(data[:65_536])


def _changed(data: bytearray, seeds: list[bytes], random: Random) -> bytearray:
    at, way = random.randrange(len(data) + 1), random.randrange(8)
    upto = min(len(data), at + 1 + random.randrange(16))
    if way == 0 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif way == 1:
        size = random.choice([1, 2, 4])
        number = random.choice(_NUMBERS) & (1 << 8 * size) - 1
        data[at : at + size] = number.to_bytes(size, random.choice(["big", "little"]))  # type: ignore[arg-type]
    elif way == 2:
        del data[at:upto]
    elif way == 3:
        data[at:at] = data[at:upto]
    elif way == 4:
        data[at:at] = random.randbytes(1 + random.randrange(16))
    elif way == 5:
        other = random.choice(seeds)
        data[at:] = other[random.randrange(len(other) + 1) :]
    elif way == 6:
        del data[at:]
    elif way == 7:
        return _retyped(data, random)
    return data


def _retyped(data: bytearray, random: Random) -> bytearray:
    """Return bytes in which something else stands for one value of their JSON, where they have any."""
    values = [found.span() for found in _VALUES.finditer(data)]
    if values:
        start, end = random.choice(values)
        data[start:end] = random.choice(_OTHERS)
    return data


def run(target: Target, *, seed: int = 0, inputs: int | None = None, seconds: float | None = None) -> Outcome:
    """Try changed inputs, as many or for as long as is asked for.

    Raises:
        Crashed: with the input that did it.
    """
    tried = accepted = 0
    slowest, ends = 0.0, None if seconds is None else time.monotonic() + seconds
    for place, data in zip(count(), mutations(target.seeds, Random(seed)), strict=False):
        if (inputs is not None and place >= inputs) or (ends is not None and time.monotonic() > ends):
            break
        began = time.process_time()
        try:
            accepted += target.try_one(data)
        except Exception as error:
            raise Crashed(data, f"{type(error).__name__}: {error}") from error
        took = time.process_time() - began
        if took > SLOW_SECONDS:
            raise Crashed(data, f"took {took:.1f} s")
        tried, slowest = tried + 1, max(slowest, took)
    return Outcome(tried, accepted, slowest)
