"""What differs between rules: what a change opens, closes and cuts, and whether what is in force is what was meant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.segmentation.flows import Flow, Rules

SLACK = 3.0
"""Seconds by which the end of a flow that is in force may differ: clocks are read before and after the kernel's."""


@dataclass(frozen=True)
class Difference:
    """From rules before to rules after.

    Attributes:
        opened: flows that pass afterwards only, with their ends, Unix seconds.
        closed: flows that passed before only, with their ends.
        moved: flows whose end is another, with the end before and the one after.
        cut: addresses that are cut off afterwards only.
        restored: addresses that were cut off before only.
    """

    opened: Mapping[Flow, int]
    closed: Mapping[Flow, int]
    moved: Mapping[Flow, tuple[int, int]]
    cut: frozenset[str]
    restored: frozenset[str]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.opened or self.closed or self.moved or self.cut or self.restored)

    def lines(self) -> Iterator[str]:
        """Yield each change in a line, in a fixed order, the cuts first."""
        for address in sorted(self.cut):
            yield f"! {address} is cut off"
        for address in sorted(self.restored):
            yield f"? {address} is no longer cut off"
        for flow in sorted(self.closed):
            yield f"- {flow}"
        for flow in sorted(self.opened):
            yield f"+ {flow} until {self.opened[flow]}"
        for flow in sorted(self.moved):
            before, after = self.moved[flow]
            yield f"~ {flow} until {after}, {abs(after - before)} s {'later' if after > before else 'sooner'}"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs: lists in a fixed order."""
        return {
            "opened": [{**flow._asdict(), "until": self.opened[flow]} for flow in sorted(self.opened)],
            "closed": [{**flow._asdict(), "until": self.closed[flow]} for flow in sorted(self.closed)],
            "moved": [
                {**flow._asdict(), "from": self.moved[flow][0], "until": self.moved[flow][1]}
                for flow in sorted(self.moved)
            ],
            "cut": sorted(self.cut),
            "restored": sorted(self.restored),
        }


def difference(before: Rules, after: Rules) -> Difference:
    """Return what changes from some rules to others, to the second."""
    return Difference(
        opened={flow: end for flow, end in after.flows.items() if flow not in before.flows},
        closed={flow: end for flow, end in before.flows.items() if flow not in after.flows},
        moved={
            flow: (before.flows[flow], end)
            for flow, end in after.flows.items()
            if flow in before.flows and before.flows[flow] != end
        },
        cut=after.cut - before.cut,
        restored=before.cut - after.cut,
    )


def deviation(meant: Rules, found: Rules, now: float, slack: float = SLACK) -> Difference:
    """Return in what rules that are in force differ from those that were meant; nothing if they are the same.

    Not counted: an end that differs by no more than the slack, and a flow that is gone because its end is near.

    Args:
        meant: what was compiled.
        found: what was read back; what it has beyond is `opened`, what it lacks is `closed`.
        now: Unix seconds, when it was read.
        slack: seconds.
    """
    whole = difference(meant, found)
    return Difference(
        opened=whole.opened,
        closed={flow: end for flow, end in whole.closed.items() if end > now + slack},
        moved={flow: ends for flow, ends in whole.moved.items() if abs(ends[1] - ends[0]) > slack},
        cut=whole.cut,
        restored=whole.restored,
    )
