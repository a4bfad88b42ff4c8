"""How long a table of grants takes until the kernel enforces it: ``python -m benchmarks.segments --json``.

In a network namespace of its own, so that no rules of this machine are touched; as root. What is timed is what a
router's agent does: reading a table as it came, compiling it, one transaction of the kernel, and reading back and
comparing all of it. Beside the whole, of a table that is in force already: one more grant, and cutting one device off.
"""

import argparse
import ctypes
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.segments.enforcing import CLOSED, Enforcement
from adapters.segments.errors import NftablesMissing
from adapters.segments.libnftables import LibNftables, Nftables, NftProgram
from controlplane.contracts.segmentation import Cut, Grant, GrantTable, Service
from controlplane.segmentation.flows import rules_of

GRANTS = 10_000
BOUND_SECONDS = 2.0
"""Within which that many grants are to be in force."""

_CLONE_NEWNET = 0x40000000
_SERVICE = Service(audience="gateway-1", addresses=["10.10.0.20"], ports=[8443])


@dataclass(frozen=True)
class Took:
    """What one run took, in seconds.

    Attributes:
        read: reading the table as it came.
        compiled: compiling it to flows.
        in_force: from the flows to the end of the kernel's transaction.
        checked: reading back and comparing.
        one_more: one grant more, until it is in force.
        cut: one device cut off, until it is in force.
        cpu: of the whole, processor time of this process and the program's.
    """

    read: float
    compiled: float
    in_force: float
    checked: float
    one_more: float
    cut: float
    cpu: float

    @property
    def whole(self) -> float:
        """From a table as it came until it is in force and compared."""
        return self.read + self.compiled + self.in_force + self.checked


def measure(kernel: Nftables, grants: int) -> Took:
    """Put a table in force in this thread's network namespace, change it, and return what it took.

    Args:
        kernel: takes the commands.
        grants: of the table, each of a device of its own.
    """
    enforcement = Enforcement(kernel)
    enforcement.close()
    came = table_of(grants).model_dump_json(exclude_none=True).encode()
    began = _processor()
    read, table = _timed(lambda: GrantTable.model_validate_json(came))
    compiled, rules = _timed(lambda: rules_of(table, time.time()))
    in_force, _ = _timed(lambda: enforcement.change(rules))
    checked, _ = _timed(enforcement.check)
    cpu = _processor() - began
    more, cut = _more(table), _cut(table)
    one_more, _ = _timed(lambda: enforcement.change(rules_of(more, time.time())))
    cutting, _ = _timed(lambda: enforcement.change(rules_of(cut, time.time())))
    enforcement.check()
    enforcement.apply(CLOSED)
    return Took(read, compiled, in_force, checked, one_more, cutting, cpu)


def table_of(grants: int) -> GrantTable:
    """Return a table with so many grants, each of a device of its own, that last five minutes from now."""
    now = time.time()
    return GrantTable(
        revision="0" * 64,
        policy_revision="benchmark",
        made_at=now,
        services={"gateway": _SERVICE},
        grants=[_grant(number, now) for number in range(grants)],
        cuts=[],
    )


def summary(grants: int, times: int) -> dict[str, Any]:
    """Return the medians of so many runs, with the library and with the program, and the fastest with the first.

    The bar is held against the fastest: on a machine that others use as well, the rest measures them.

    Raises:
        NftablesMissing: there is neither.
    """
    kernels: dict[str, Callable[[], Nftables]] = {"libnftables": LibNftables, "nft": NftProgram}
    found: dict[str, Any] = {}
    fastest = math.inf
    for name, make in kernels.items():
        try:
            runs = [measure(make(), grants) for _ in range(times)]
        except NftablesMissing:
            continue
        parts = ("whole", *Took.__dataclass_fields__)
        if not found:
            fastest = min(run.whole for run in runs)
        found[name] = {part: statistics.median(getattr(run, part) for run in runs) for part in parts}
    if not found:
        raise NftablesMissing("there is neither libnftables nor nft: install Debian's package nftables")
    first = next(iter(found))
    return {
        "grants": grants,
        "by": first,
        "apply_seconds": found[first]["whole"],
        "apply_fastest_seconds": fastest,
        "apply_cpu_seconds": found[first]["cpu"],
        "bound_seconds": BOUND_SECONDS,
        "within_bound": fastest < BOUND_SECONDS,
        "times": times,
        "parts_seconds": found,
        "cpus": os.cpu_count(),
    }


def own_namespace() -> None:
    """Leave the machine's network for one of this thread's own.

    Raises:
        OSError: it is refused.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no network namespace of its own ({os.strerror(number)}): run as root")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; the exit status is 1 where it cannot be measured here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grants", type=int, default=GRANTS, help=f"of the table ({GRANTS})")
    parser.add_argument("--times", type=int, default=5, help="runs of each; medians are quoted (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    try:
        own_namespace()
        found = summary(given.grants, given.times)
    except (OSError, NftablesMissing) as error:
        print(f"benchmarks.segments: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(found))
        return 0
    print(f"{found['grants']:,} grants in force and compared within {found['apply_seconds']:.2f} s, by {found['by']}")
    for name, parts in found["parts_seconds"].items():
        print(f"{name}: " + ", ".join(f"{part} {seconds:.3f} s" for part, seconds in parts.items()))
    return 0


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = action()
    return time.perf_counter() - began, found


def _processor() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _grant(number: int, now: float) -> Grant:
    return Grant(
        id=f"cap-{number:08d}",
        device=f"device-{number:08d}",
        source=f"10.{20 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
        service="gateway",
        expires_at=now + 300.0,
        decision=f"dec-{number:08d}",
        segment="homes",
        site="house-7",
        device_class="camera",
    )


def _more(table: GrantTable) -> GrantTable:
    return table.model_copy(update={"grants": [*table.grants, _grant(len(table.grants), table.made_at)]})


def _cut(table: GrantTable) -> GrantTable:
    first = table.grants[0]
    return table.model_copy(update={"cuts": [Cut(device=first.device, address=first.source, reason="quarantined")]})


if __name__ == "__main__":
    sys.exit(main())
