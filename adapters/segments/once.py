"""One table at this router, once: what it would change, the change, and whether the kernel is as meant."""

import json
import time
from collections.abc import Sequence
from typing import Any

from adapters.segments.clock import NeverBehind
from adapters.segments.enforcing import CLOSED, Enforcement
from adapters.segments.libnftables import Nftables
from controlplane.contracts.segmentation import GrantTable, Protocol
from controlplane.segmentation import nftables
from controlplane.segmentation.diff import deviation
from controlplane.segmentation.flows import Flow, Rules, canonical, rules_of
from controlplane.segmentation.reachability import reach
from controlplane.segmentation.rulesets import NotAsCompiled, parse


def plan(kernel: Nftables, table: GrantTable, *, as_json: bool) -> int:
    """Print what a table would change in the kernel; return the exit status."""
    enforcement, rules = _meant(kernel, table)
    before, wrong = _before(enforcement)
    change = deviation(before, rules, time.time())
    if as_json:
        _print_json(revision=table.revision, other_rules=wrong, **change.as_json())
    else:
        _print_lines([*(f"# {line}; the whole table is replaced" for line in wrong), *change.lines()] or ["no change"])
    return 0


def apply(kernel: Nftables, table: GrantTable, *, as_json: bool) -> int:
    """Put a table in force, print what that changed, and return the exit status.

    Where there was no table before and this one is not taken, nothing passes.

    Raises:
        RulesRefused, NotAsApplied: it is not in force.
    """
    enforcement, rules = _meant(kernel, table)
    before, wrong = _before(enforcement)
    if wrong:
        # Rules of another form let through nobody knows what.
        enforcement.close()
    enforcement.apply(rules)
    change = deviation(before, rules, time.time())
    if as_json:
        _print_json(revision=table.revision, applied=True, flows=len(rules.flows), **change.as_json())
    else:
        _print_lines([*change.lines(), f"{len(rules.flows)} flows pass by table {table.revision[:12]}"])
    return 0


def verify(kernel: Nftables, table: GrantTable, *, as_json: bool) -> int:
    """Compare the kernel with a table, print in what they differ, and return the exit status: 1 if they do."""
    enforcement, rules = _meant(kernel, table)
    told = enforcement.differences(rules)
    if as_json:
        _print_json(revision=table.revision, verified=not told, differences=told)
    else:
        _print_lines(
            told or [f"the kernel has the {len(rules.flows)} flows of table {table.revision[:12]} and no other"]
        )
    return 1 if told else 0


def close(kernel: Nftables, *, as_file: bool, as_json: bool) -> int:
    """Let nothing pass, or print the file for nft that does so; return the exit status."""
    if as_file:
        print(nftables.file_of(CLOSED, time.time()), end="")
        return 0
    Enforcement(kernel).close()
    if as_json:
        _print_json(closed=True)
    else:
        print("nothing passes")
    return 0


def reaches(kernel: Nftables, asked: tuple[str, str, Protocol, int], *, as_json: bool) -> int:
    """Say by the kernel's rules whether a connection passes; return the exit status.

    Raises:
        NotAsCompiled: there are no rules of ours.
        NotUnderstood: the rules are not ones that can be followed.
        ValueError: an address is none.
    """
    source, destination, protocol, port = asked
    listing = kernel.listing(nftables.FAMILY, nftables.TABLE) or {"nftables": []}
    flow = Flow(canonical(source), canonical(destination), protocol, port)
    found = reach(parse(listing), flow, time.time())
    if as_json:
        print(found.model_dump_json())
    else:
        print(f"{flow}: {'passes' if found.reaches else 'does not pass'}: {found.because}")
    return 0


def _meant(kernel: Nftables, table: GrantTable) -> tuple[Enforcement, Rules]:
    clock = NeverBehind(time.time)
    clock.learn(table.made_at)
    return Enforcement(kernel, clock), rules_of(table, clock())


def _before(enforcement: Enforcement) -> tuple[Rules, list[str]]:
    """Return what is in force, and in what the kernel's rules are of another form than ours."""
    try:
        return enforcement.adopt(), []
    except NotAsCompiled as error:
        return CLOSED, error.differences


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        print(line)


def _print_json(**told: Any) -> None:
    print(json.dumps(told))
