"""Rules compiled to one nftables table, `inet ztfm`: as commands for libnftables (its JSON) and as a file for `nft -f`.

Forwarded packets are dropped unless a rule accepts them. A packet of either direction of a connection passes only
while its flow is in the set of grants, so that a flow's end and its withdrawal stop running connections as well; the
kernel itself removes an element when its time is over. Cut addresses come first, in all three chains. libnftables
applies the whole list of commands or nothing of it. (libnftables-json(5), nft(8).)
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.segmentation.flows import Family, Flow, Rules, family_of

FAMILY = "inet"
TABLE = "ztfm"

LEAD = 1.0
"""Seconds by which elements end early: the kernel counts from when it has them, which is after they were compiled."""

ERRORS: Mapping[Family, tuple[str, ...]] = {
    "4": ("destination-unreachable", "time-exceeded", "parameter-problem"),
    "6": ("destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem"),
}
"""ICMP that a path needs (RFC 1191, RFC 4890 section 4.3.1): errors about a connection whose flow is granted."""

_IP: Mapping[Family, str] = {"4": "ip", "6": "ip6"}
_ICMP: Mapping[Family, str] = {"4": "icmp", "6": "icmpv6"}
_FAMILIES: tuple[Family, Family] = ("4", "6")

Commands = dict[str, Any]
"""For libnftables, or `nft -j -f`: ``{"nftables": [...]}``."""

Expressions = list[dict[str, Any]]
"""Of one rule: what must match, then the verdict."""


def installing(rules: Rules, now: float) -> Commands:
    """Return commands that put the whole table in the place of whatever table of its name there is, in one step.

    For a start, and where what is there is not what was compiled. While a running table is replaced the kernel may
    drop packets for an instant; it lets none through. `replacing` and `changing` do without that.

    Args:
        rules: that shall be in force; none at all closes the router.
        now: Unix seconds, when they are compiled.
    """
    table = {"family": FAMILY, "name": TABLE}
    chains = structure()
    return _commands(
        {"add": {"table": table}},
        {"delete": {"table": table}},
        {"add": {"table": table}},
        *({"add": {"set": _named(name, **description)}} for name, description in sets().items()),
        *({"add": {"chain": _named(name, **chain)}} for name, (chain, _) in chains.items()),
        *(
            {"add": {"rule": {"family": FAMILY, "table": TABLE, "chain": name, "expr": expressions}}}
            for name, (_, rule_list) in chains.items()
            for expressions in rule_list
        ),
        *_added(rules, now),
    )


def replacing(rules: Rules, now: float) -> Commands:
    """Return commands that leave the table's chains and put these elements in the place of all that its sets hold."""
    return _commands(*({"flush": {"set": _named(name)}} for name in sets()), *_added(rules, now))


def changing(before: Rules, after: Rules, now: float) -> Commands:
    """Return commands for what differs alone; they hold whether or not an element's time was over meanwhile.

    The kernel refuses to delete what it does not have and keeps the end of what it has: each element that goes or
    changes is therefore added, deleted and, if it stays, added anew, in one step.

    Args:
        before: that is in force.
        after: that shall be in force.
        now: Unix seconds, when they are compiled.
    """
    touched = {flow: end for flow, end in before.flows.items() if after.flows.get(flow) != end}
    gone = Rules(touched, before.cut - after.cut)
    come = Rules(
        {flow: end for flow, end in after.flows.items() if before.flows.get(flow) != end}, after.cut - before.cut
    )
    # The end of an element that is deleted at once does not matter, but it must have one.
    passing = {flow: math.ceil(now) + 60 for flow in touched}
    return _commands(*_added(Rules(passing, gone.cut), now), *_deleted(gone), *_added(come, now))


def file_of(rules: Rules, now: float) -> str:
    """Return the table as a file for `nft -f`: the same as `installing`, for people and for a start without us."""
    lines = [f"table {FAMILY} {TABLE}", f"delete table {FAMILY} {TABLE}", f"table {FAMILY} {TABLE} {{"]
    elements = _elements(rules, now)
    for name, description in sets().items():
        kind = description["type"]
        lines += [f"\tset {name} {{", f"\t\ttype {kind if isinstance(kind, str) else ' . '.join(kind)}"]
        lines += [f"\t\tflags {flag}" for flag in description.get("flags", ())]
        if elements[name]:
            lines.append("\t\telements = { " + ",\n\t\t\t".join(map(_text, elements[name])) + " }")
        lines.append("\t}")
    for name, rule_lines in _chains_as_text().items():
        chain = structure()[name][0]
        hook = f"type {chain['type']} hook {chain['hook']} priority {chain['prio']}; policy {chain['policy']};"
        lines += [f"\tchain {name} {{", f"\t\t{hook}", *(f"\t\t{line}" for line in rule_lines), "\t}"]
    return "\n".join([*lines, "}", ""])


def sets() -> dict[str, dict[str, Any]]:
    """Return the table's sets by name: the flows that pass, with their ends, and the addresses that are cut."""
    described: dict[str, dict[str, Any]] = {}
    for family in _FAMILIES:
        address = f"ipv{family}_addr"
        described[f"grants{family}"] = {"type": [address, address, "inet_proto", "inet_service"], "flags": ["timeout"]}
        described[f"cut{family}"] = {"type": address}
    return described


def structure() -> dict[str, tuple[dict[str, Any], list[Expressions]]]:
    """Return the table's chains by name, each with its rules, in the order in which the kernel tries them."""
    cut = {
        end: [
            [_equal(_payload(_IP[family], end), f"@cut{family}"), {"drop": None}]
            for family in _FAMILIES
        ]
        for end in ("saddr", "daddr")
    }  # fmt: skip
    forged = _equal({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, right=False)
    passing = [
        rule for family in _FAMILIES for rule in (_opening(family), _answering(family), _about(family))
    ]  # fmt: skip
    return {
        "forward": (_base("forward", "drop"), [*cut["saddr"], *cut["daddr"], [forged, {"drop": None}], *passing]),
        "input": (_base("input", "accept"), cut["saddr"]),
        "output": (_base("output", "accept"), cut["daddr"]),
    }


def _chains_as_text() -> dict[str, list[str]]:
    """The rules of `structure` as nft writes them."""
    cut = {end: [f"{_IP[family]} {end} @cut{family} drop" for family in _FAMILIES] for end in ("saddr", "daddr")}
    passing = []
    for family in _FAMILIES:
        ip, grants = _IP[family], f"@grants{family}"
        errors = f"{_ICMP[family]} type {{ {', '.join(ERRORS[family])} }}"
        about = f"ct original {ip} saddr . ct original {ip} daddr . ct protocol . ct original proto-dst {grants}"
        opens = f"{ip} saddr . {ip} daddr . meta l4proto . th dport {grants}"
        answers = f"{ip} daddr . {ip} saddr . meta l4proto . th sport {grants}"
        passing += [
            f"ct direction original {opens} accept",
            f"ct state established ct direction reply {answers} accept",
            f"ct state related {errors} {about} accept",
        ]
    return {
        "forward": [*cut["saddr"], *cut["daddr"], "fib saddr . iif oif missing drop", *passing],
        "input": cut["saddr"],
        "output": cut["daddr"],
    }


def _opening(family: Family) -> Expressions:
    """A packet from the one who opened the connection, of a flow that is granted now."""
    key = [_payload(_IP[family], "saddr"), _payload(_IP[family], "daddr"), _protocol(), _payload("th", "dport")]
    return [_equal(_ct("direction"), "original"), _equal({"concat": key}, f"@grants{family}"), {"accept": None}]


def _answering(family: Family) -> Expressions:
    """A packet back, of a connection that was opened and whose flow is granted still."""
    key = [_payload(_IP[family], "daddr"), _payload(_IP[family], "saddr"), _protocol(), _payload("th", "sport")]
    return [
        _among(_ct("state"), "established"),
        _equal(_ct("direction"), "reply"),
        _equal({"concat": key}, f"@grants{family}"),
        {"accept": None},
    ]


def _about(family: Family) -> Expressions:
    """An ICMP error about a connection whose flow is granted, from whichever router on its path."""
    ip = _IP[family]
    key = [
        _ct(f"{ip} saddr", "original"),
        _ct(f"{ip} daddr", "original"),
        _ct("protocol"),
        _ct("proto-dst", "original"),
    ]
    return [
        _among(_ct("state"), "related"),
        _equal(_payload(_ICMP[family], "type"), {"set": list(ERRORS[family])}),
        _equal({"concat": key}, f"@grants{family}"),
        {"accept": None},
    ]


def _elements(rules: Rules, now: float) -> dict[str, list[Any]]:
    """What each set holds, sorted. A flow whose time is all but over is left out: without a timeout it would stay."""
    held: dict[str, list[Any]] = {name: [] for name in sets()}
    for flow in sorted(rules.flows):
        timeout = math.floor(rules.flows[flow] - now - LEAD)
        if timeout >= 1:
            held[f"grants{family_of(flow.source)}"].append({"elem": {"val": _key(flow), "timeout": timeout}})
    for address in sorted(rules.cut):
        held[f"cut{family_of(address)}"].append(address)
    return held


def _key(flow: Flow) -> dict[str, Any]:
    return {"concat": [flow.source, flow.destination, flow.protocol, flow.port]}


def _added(rules: Rules, now: float) -> Iterable[dict[str, Any]]:
    return [{"add": {"element": _named(name, elem=held)}} for name, held in _elements(rules, now).items() if held]


def _deleted(rules: Rules) -> Iterable[dict[str, Any]]:
    gone: dict[str, list[Any]] = {name: [] for name in sets()}
    for flow in sorted(rules.flows):
        gone[f"grants{family_of(flow.source)}"].append(_key(flow))
    for address in sorted(rules.cut):
        gone[f"cut{family_of(address)}"].append(address)
    return [{"delete": {"element": _named(name, elem=keys)}} for name, keys in gone.items() if keys]


def _text(element: Any) -> str:
    if isinstance(element, str):
        return element
    inner = element["elem"]
    return f"{' . '.join(map(str, inner['val']['concat']))} timeout {inner['timeout']}s"


def _commands(*commands: dict[str, Any]) -> Commands:
    return {"nftables": list(commands)}


def _named(name: str, **rest: Any) -> dict[str, Any]:
    return {"family": FAMILY, "table": TABLE, "name": name, **rest}


def _base(hook: str, policy: str) -> dict[str, Any]:
    return {"type": "filter", "hook": hook, "prio": 0, "policy": policy}


def _equal(left: Any, right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def _among(left: Any, right: Any) -> dict[str, Any]:
    return {"match": {"op": "in", "left": left, "right": right}}


def _payload(protocol: str, name: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": name}}


def _protocol() -> dict[str, Any]:
    return {"meta": {"key": "l4proto"}}


def _ct(key: str, direction: str | None = None) -> dict[str, Any]:
    return {"ct": {"key": key, "dir": direction} if direction else {"key": key}}
