"""Facts that could have been others: which values of a field are plausible, by the rules that read it."""

import copy
import ipaddress
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, islice
from typing import Any

from controlplane.history.sources import Place, Reading

MAX_VALUES = 24
"""Values of one field that are tried, the nearest first."""

_DAYS = 7
_MAX_POOL = 400
_SETTLED = {("action", "name"), ("subject", "id"), ("subject", "type"), ("subject", "properties", "key_thumbprint")}
"""Who asks and what is asked: with others it would be another request."""

_RESOURCE = {("resource", "id"), ("resource", "type")}

Value = Any
ABSENT = object()


def at(facts: Any, path: Place) -> Value:
    """Return what stands at a path, or `ABSENT`."""
    for part in path:
        if not isinstance(facts, dict) or part not in facts:
            return ABSENT
        facts = facts[part]
    return facts


def put(facts: dict[str, Any], path: Place, value: Value) -> dict[str, Any]:
    """Return the facts with another value at a path; what it lies in is made where it is not there."""
    changed = copy.deepcopy(facts)
    node = changed
    for part in path[:-1]:
        found = node.get(part)
        node[part] = found if isinstance(found, dict) else {}
        node = node[part]
    node[path[-1]] = copy.deepcopy(value)
    return changed


def fields(readings: Sequence[Reading], facts: dict[str, Any], *, with_resource: bool) -> list[Place]:
    """Return the fields that rules read and that could have been others.

    Args:
        readings: of the requirements that are missing.
        facts: that they are missing in.
        with_resource: whether another resource may be asked for.
    """
    settled = _SETTLED if with_resource else _SETTLED | _RESOURCE
    found = {leaf for reading in readings for path in reading.inputs for leaf in _leaf_fields(facts, path)}
    return sorted(path for path in found - settled if len(path) > 1)


def _leaf_fields(facts: dict[str, Any], path: Place) -> Iterator[Place]:
    node = at(facts, path)
    if isinstance(node, dict):
        yield from ((*path, name) for name, part in node.items() if not isinstance(part, dict))
    else:
        yield path


def values(path: Place, readings: Sequence[Reading], facts: dict[str, Any], data: dict[str, Any]) -> list[Value]:
    """Return plausible values of a field, the nearest to what it is first.

    They come from what stands in the rules that read it, in the data that these read, and in the other facts that they
    compare it with.
    """
    current = at(facts, path)
    concerned = [reading for reading in readings if any(path[: len(one)] == one for one in reading.inputs)]
    pool: dict[str, Value] = {}
    for value in islice(_pool(path, concerned, facts, data), _MAX_POOL):
        if value != current or type(value) is not type(current):
            pool.setdefault(repr(value), value)
    fitting = list(pool.values())
    if is_number(current):
        fitting.sort(key=lambda value: (abs(value - current), value))
    return fitting[:MAX_VALUES]


def _pool(path: Place, readings: Sequence[Reading], facts: dict[str, Any], data: dict[str, Any]) -> Iterator[Value]:
    """Yield values of the type that a field has, or of any where nothing stands: the contract says what fits."""
    current = at(facts, path)
    is_open = current is ABSENT or current is None
    others = [at(facts, other) for reading in readings for other in sorted(reading.inputs) if other != path]
    known = [*others, *(value for reading in readings for value in _known(reading, data))]
    texts = [value for value in known if isinstance(value, str) and " " not in value]
    if isinstance(current, list):
        yield from _lists(current, others, texts)
        return
    if path[-1] == "address":
        yield from _addresses(texts)
        return
    if is_open or isinstance(current, bool):
        yield from (True, False)
    if is_open or isinstance(current, str):
        yield from texts
    if is_open or is_number(current):
        if path == ("context", "time") and is_number(current):
            yield from _openings(current, readings, data)
        yield from _numbers(known, others)


def _lists(current: list[Value], others: list[Value], texts: list[str]) -> Iterator[list[Value]]:
    yield from (other for other in others if isinstance(other, list))
    yield from ([one for one in current if one != left_out] for left_out in current if len(current) > 1)
    yield from ([*current, text] for text in texts if text not in current)


def _numbers(known: list[Value], others: list[Value]) -> Iterator[float]:
    bounds = [value for value in known if is_number(value)]
    beside = [value for value in others if is_number(value)]
    yield from (0, 1)
    for bound in [*bounds, *beside]:
        yield bound
        if float(bound).is_integer():
            # Beside it, where the bound itself is not within; and without a fraction, where things are counted.
            yield from (int(bound), int(bound) - 1, int(bound) + 1)
    # What is left of a bound when other facts take their part.
    sums = [sum(some) for size in (1, 2) for some in combinations(beside[:4], size)]
    yield from (bound - taken for bound in bounds for taken in sums if bound > taken)


def _known(reading: Reading, data: dict[str, Any]) -> Iterator[Value]:
    yield from sorted(reading.constants, key=repr)
    for path in sorted(reading.data):
        yield from _leaves(at(data, path))


def _leaves(node: Any) -> Iterator[Value]:
    """Yield names and values, what is less deep first."""
    level = [node]
    while level:
        deeper: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                yield from part
                deeper += part.values()
            elif isinstance(part, list):
                deeper += part
            elif part is not ABSENT:
                yield part
        level = deeper


def _addresses(texts: list[str]) -> Iterator[str]:
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            continue
        yield str(network.network_address + 1 if network.num_addresses > 1 else network.network_address)


def _openings(now: float, readings: Sequence[Reading], data: dict[str, Any]) -> Iterator[float]:
    """Yield the times of the next days at which something opens."""
    minutes = {minute for reading in readings for path in reading.data for minute in _opening_minutes(at(data, path))}
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(_DAYS + 1):
        for minute in sorted(minutes):
            moment = (midnight + timedelta(days=day, minutes=minute)).timestamp()
            if moment > now:
                yield moment


def _opening_minutes(node: Any) -> Iterator[int]:
    if isinstance(node, dict):
        for name, part in node.items():
            if name == "opens_minute_utc" and isinstance(part, int):
                yield part
            else:
                yield from _opening_minutes(part)


def is_number(value: Value) -> bool:
    """Whether a value is a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)
