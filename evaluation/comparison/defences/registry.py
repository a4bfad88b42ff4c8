"""Defences by name: what to write above a column, where each comes from, and what it cannot do without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from evaluation.comparison.defences.centres import averaging, median_of_geometry, mixed_and_trimmed
from evaluation.comparison.defences.flame import Flame
from evaluation.comparison.defences.fltrust import fltrust
from evaluation.comparison.defences.judged import Trust
from evaluation.comparison.defences.krum import multi_krum
from evaluation.comparison.defences.rule import ByRule
from evaluation.comparison.defences.screening import Screening
from evaluation.comparison.defences.tracer import Tracer
from evaluation.comparison.interfaces import Defence as Aggregating

Need = Literal["examples", "reference", "rounds"]
"""Something beside a round's updates: claimed examples, an update on the server's own, or the rounds in their order."""


@dataclass(frozen=True)
class Described:
    """One defence of the comparison.

    Attributes:
        name: for commands and files.
        title: for tables.
        source: paper, or where in this repository.
        made: a new one, for one federation, with a seed.
        needs: what else than updates it works with; it raises without a reference that it needs.
        names_devices: it refuses devices, or says by its own rule who looks hostile, so that rates can be counted.
    """

    name: str
    title: str
    source: str
    made: Callable[[int], Aggregating]
    needs: frozenset[Need] = frozenset()
    names_devices: bool = True


_ALL = (
    Described(
        "averaging",
        "plain averaging",
        "McMahan et al., arXiv 1602.05629",
        lambda seed: ByRule("averaging", averaging),
        frozenset({"examples"}),
        names_devices=False,
    ),
    Described(
        "geometric_median",
        "geometric median",
        "Pillutla, Kakade and Harchaoui, arXiv 1912.13445",
        lambda seed: ByRule("geometric_median", median_of_geometry),
        names_devices=False,
    ),
    Described(
        "multi_krum",
        "Multi-Krum",
        "Blanchard et al., NeurIPS 2017, arXiv 1703.02757",
        lambda seed: ByRule("multi_krum", multi_krum),
    ),
    Described(
        "nnm_trimmed_mean",
        "nearest-neighbour mixing, trimmed mean",
        "Allouah et al., arXiv 2302.01772; Yin et al., arXiv 1803.01498",
        lambda seed: ByRule("nnm_trimmed_mean", mixed_and_trimmed),
        names_devices=False,
    ),
    Described(
        "fltrust",
        "FLTrust",
        "Cao et al., arXiv 2012.13995",
        lambda seed: ByRule("fltrust", fltrust),
        frozenset({"reference"}),
    ),
    Described("flame", "FLAME", "Nguyen et al., arXiv 2101.02281", lambda seed: ByRule("flame", Flame(seed=seed))),
    Described(
        "fltracer",
        "tracker after FLTracer",
        "Zhang et al., arXiv 2310.13424, simplified",
        lambda seed: ByRule("fltracer", Tracer()),
        frozenset({"examples", "rounds"}),
    ),
    Described(
        "screening",
        "screening's bounds, no control plane",
        "adapters/screening, policies/ztfm/lib/evidence",
        lambda seed: Screening(seed=seed),
        frozenset({"examples", "rounds"}),
    ),
    Described(
        "trust",
        "trust's judge, no control plane",
        "controlplane/behavior, policies/data/behaviour",
        lambda seed: Trust(screening=Screening(seed=seed)),
        frozenset({"examples", "rounds"}),
    ),
)

DEFENCES: Mapping[str, Described] = {one.name: one for one in _ALL}
"""By name. This system whole, with its control plane, is not among them: it needs a running one."""
