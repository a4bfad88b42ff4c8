"""An nftables ruleset read back: parsed whatever it is, compared with what we compile, and turned into rules again.

Read from `nft -j list table inet ztfm`, from libnftables, or from commands that `nftables.installing` made. Nothing
that is not understood is passed over: it is a difference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from controlplane.contracts.segmentation import Protocol
from controlplane.segmentation import nftables
from controlplane.segmentation.flows import Flow, Rules, canonical, family_of
from controlplane.segmentation.nftables import FAMILY, TABLE, Expressions

PROTOCOLS: Mapping[str | int, str] = {"tcp": "tcp", "udp": "udp", 6: "tcp", 17: "udp"}

Key = tuple[str | int, ...]
"""Of an element: one address alone, or the parts of a flow."""


class NotAsCompiled(Exception):  # noqa: N818 - a state of the kernel, as callers see it
    """A ruleset is not the one that we compile.

    Attributes:
        differences: each in a sentence.
    """

    def __init__(self, differences: list[str]) -> None:
        self.differences = differences
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        super().__init__(f"table {FAMILY} {TABLE} is not as compiled: {'; '.join(differences[:3])}{more}")


@dataclass(frozen=True)
class NamedSet:
    """A set of a table.

    Attributes:
        description: its type and flags, as nftables describes it.
        elements: each with the seconds that it has left; none where it never ends.
    """

    description: Mapping[str, Any]
    elements: Mapping[Key, int | None]


@dataclass(frozen=True)
class Chain:
    """A chain of a table.

    Attributes:
        base: where it hooks in, and what becomes of packets that no rule decides.
        rules: in their order.
    """

    base: Mapping[str, Any]
    rules: tuple[Expressions, ...]


@dataclass(frozen=True)
class Ruleset:
    """The table `inet ztfm`, as read.

    Attributes:
        sets: by name.
        chains: by name.
        others: what else the table has, each in a sentence: nothing of it is ours.
    """

    sets: Mapping[str, NamedSet]
    chains: Mapping[str, Chain]
    others: tuple[str, ...] = ()


def parse(document: Any) -> Ruleset:
    """Return the table of a listing, or of commands that install it.

    Args:
        document: parsed JSON, ``{"nftables": [...]}``. A listing of the whole ruleset shows more than one of the table:
            a flowtable of any table takes connections past the forward chains, and so do rules with `fwd` or `dup`.

    Raises:
        NotAsCompiled: it is no such document, or the table is not in it.
    """
    sets: dict[str, tuple[dict[str, Any], dict[Key, int | None]]] = {}
    chains: dict[str, tuple[dict[str, Any], list[Expressions]]] = {}
    others: list[str] = []
    tables = 0
    try:
        for entry in document["nftables"]:
            [(kind, body)] = entry["add"].items() if "add" in entry else entry.items()
            if kind == "flowtable":
                others.append(f"flowtable `{body['name']}` of table {body['table']} lets packets pass beside all rules")
                continue
            if kind in {"metainfo", "delete"} or not _is_ours(kind, body):
                others += _sent_on(body) if kind == "rule" else []
                continue
            if kind == "table":
                tables += 1
                others += [f"the table has flags {body['flags']}"] if body.get("flags") else []
            elif kind == "set":
                described = {name: body[name] for name in body.keys() - _INCIDENTAL - {"elem"}}
                if isinstance(described.get("flags"), str):  # as some versions of nft write a single one
                    described["flags"] = [described["flags"]]
                sets[body["name"]] = (described, _elements(body.get("elem", []), body.get("type")))
            elif kind == "element":
                described, held = sets[body["name"]]
                held.update(_elements(body["elem"], described.get("type")))
            elif kind == "chain":
                chains[body["name"]] = ({name: body[name] for name in body.keys() - _INCIDENTAL}, [])
            elif kind == "rule":
                chains[body["chain"]][1].append(_expressions(body["expr"]))
            else:
                others.append(f"the table has a {kind}, `{body.get('name', '?')}`")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAsCompiled([f"this is not a listing that nftables makes: {type(error).__name__} {error}"]) from None
    if not tables:
        raise NotAsCompiled(["there is no such table: nothing filters here"])
    return Ruleset(
        {name: NamedSet(described, elements) for name, (described, elements) in sets.items()},
        {name: Chain(base, tuple(rules)) for name, (base, rules) in chains.items()},
        tuple(others),
    )


def read(document: Any, now: float) -> Rules:
    """Return the rules that are in force by a listing of the kernel, or by commands that install them.

    Args:
        document: parsed JSON, ``{"nftables": [...]}``.
        now: Unix seconds, when it was read.

    Returns:
        The flows with the ends for which they were compiled, give or take two seconds, and the addresses that are cut.

    Raises:
        NotAsCompiled: chains, rules or sets are not the ones that we compile, or an element has no end.
    """
    ruleset = parse(document)
    differences = structural_differences(ruleset)
    if differences:
        raise NotAsCompiled(differences)
    flows: dict[Flow, int] = {}
    cut: set[str] = set()
    for name, held in ruleset.sets.items():
        for key, left in held.elements.items():
            try:
                if name.startswith("cut"):
                    cut.add(_cut(key, name))
                else:
                    flows[_flow(key, name)] = _end(left, now)
            except ValueError as error:
                differences.append(f"set {name} has element {' . '.join(map(str, key))}: {error}")
    if differences:
        raise NotAsCompiled(differences)
    return Rules(flows, frozenset(cut))


def structural_differences(found: Ruleset) -> list[str]:
    """Return in what a table differs from the one that we compile, its sets' elements apart, each in a sentence."""
    told = list(found.others)
    wanted_sets = nftables.sets()
    wanted_chains = nftables.structure()
    for kind, wanted, there in (("set", wanted_sets, found.sets), ("chain", wanted_chains, found.chains)):
        told += [f"{kind} {name} is missing" for name in sorted(wanted.keys() - there.keys())]
        told += [f"{kind} {name} is not ours" for name in sorted(there.keys() - wanted.keys())]
    for name in sorted(wanted_sets.keys() & found.sets.keys()):
        if dict(found.sets[name].description) != wanted_sets[name]:
            told.append(f"set {name} is of another kind: {dict(found.sets[name].description)}")
    for name in sorted(wanted_chains.keys() & found.chains.keys()):
        base, rules = wanted_chains[name]
        chain = found.chains[name]
        if dict(chain.base) != base:
            told.append(f"chain {name} is hooked in otherwise: {dict(chain.base)}")
        if list(chain.rules) != rules:
            told.append(f"chain {name} has other rules: {_first_difference(rules, chain.rules)}")
    return told


_FOREVER = 2**40
"""Seconds; no kernel counts so far, and a number that is much larger is no moment when it is added to one."""

_INCIDENTAL = {"family", "table", "name", "handle"}


def _is_ours(kind: str, body: Mapping[str, Any]) -> bool:
    """Whether an entry of a listing, which may be of the whole ruleset, is of our table."""
    return bool(body["family"] == FAMILY and body["name" if kind == "table" else "table"] == TABLE)


def _sent_on(body: Mapping[str, Any]) -> list[str]:
    """Statements of a rule of another table that send packets, or copies of them, where no forward chain is."""
    statements = [each for each in body["expr"] if isinstance(each, dict)]
    names = [name for each in statements for name in each if name in {"fwd", "dup"}]
    # What iptables writes through nftables is no statement that nft knows, but it has its name.
    names += ["TEE" for each in statements if isinstance(each.get("xt"), dict) and each["xt"].get("name") == "TEE"]
    return [f"a rule of table {body['table']} sends packets on beside all rules, with `{name}`" for name in names]


def _elements(listed: Any, kind: Any) -> dict[Key, int | None]:
    """The elements of a set of a kind: a type, or a list of those of its parts."""
    kinds = kind if isinstance(kind, list) else [kind]
    found: dict[Key, int | None] = {}
    if not isinstance(listed, list):
        raise TypeError("elements that are no list")
    for element in listed:
        inner = element["elem"] if isinstance(element, dict) and "elem" in element else {"val": element}
        value = inner["val"]
        parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
        if not all(type(part) in {str, int} for part in parts):
            raise ValueError(f"an element that is no single value: {value}")
        # A protocol is a number where the machine has no names for them.
        key = tuple(
            PROTOCOLS.get(part, part) if of == "inet_proto" else _spelled(part)
            for part, of in zip(parts, [*kinds, *(None for _ in parts)], strict=False)
        )
        # A listing says what is left; commands say only how long it shall last. A timeout of 0 is none.
        left = inner.get("expires", inner.get("timeout") or None)
        if left is not None and (type(left) is not int or not 0 <= left < _FOREVER):
            raise ValueError(f"an element that has `{left}` seconds left")
        found[key] = left
    return found


def _expressions(listed: Any) -> Expressions:
    if not isinstance(listed, list) or not all(isinstance(each, dict) and len(each) == 1 for each in listed):
        raise TypeError(f"a rule is {str(listed)[:64]}")
    return listed


def _spelled(part: str | int) -> str | int:
    """One spelling for one address: nft writes some otherwise than we do, such as those that hold an IPv4 address."""
    if isinstance(part, str) and (":" in part or "." in part):
        try:
            return canonical(part)
        except ValueError:
            return part
    return part


def _cut(key: Key, name: str) -> str:
    match key:
        case (str(address),) if name == f"cut{family_of(address)}":
            return canonical(address)
    raise ValueError("it is not one address of the set's family")


def _flow(key: Key, name: str) -> Flow:
    match key:
        case (str(source), str(destination), protocol, int(port)) if protocol in PROTOCOLS:
            if name == f"grants{family_of(source)}" == f"grants{family_of(destination)}":
                return Flow(canonical(source), canonical(destination), cast("Protocol", protocol), port)
    raise ValueError("it is not two addresses of the set's family, a protocol that we know, and a port")


def _end(left: int | None, now: float) -> int:
    if left is None:
        raise ValueError("it never ends")
    return math.ceil(now + left + nftables.LEAD)


def _first_difference(wanted: list[Expressions], found: tuple[Expressions, ...]) -> str:
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), start=1):
        if one != other:
            return f"rule {number} is {other}"
    return f"{len(found)} rules instead of {len(wanted)}"
