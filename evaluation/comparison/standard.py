"""What the comparison compares unless it is told otherwise: this repository's tasks, attacks and defences."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from controlplane.sidecar.bundle import content_digest
from evaluation.comparison.attacks import ATTACKS
from evaluation.comparison.catalogue import Attack, Catalogue, Guards, Learns, Shield
from evaluation.comparison.cells import Cell
from evaluation.comparison.defences import DEFENCES, Described
from evaluation.comparison.interfaces import Defence, Learning
from evaluation.comparison.layers import OWN, VARIANTS, Layers
from evaluation.comparison.system import guarding
from evaluation.comparison.tasks import ACTIVITY, SMART_HOME, activity, smart_home
from evaluation.trust.revision import JUDGING

TASKS: dict[str, Learns] = {SMART_HOME: smart_home, ACTIVITY: activity}

ALONE = ("adapters/aggregation", "evaluation/comparison/defences")
"""What defences of one process depend on."""

MEASURING = ("adapters/screening", "controlplane/behavior", "policies/data/behaviour", "policies/data/limits")
"""And those among them that measure as this system does."""

SYSTEM = (
    *(part for part in JUDGING if not part.startswith("evaluation")),
    "controlplane/contracts/behaviour.py",
    "evaluation/comparison/layers.py",
    "evaluation/comparison/system.py",
)

MEASURES = frozenset({"screening", "trust"})


def catalogue(policies: Path | None = None) -> Catalogue:
    """All of it.

    Args:
        policies: an author's own, which become a defence of that name.

    Raises:
        BundleError: the folder holds no policies.
    """
    shields = {name: _alone(found) for name, found in DEFENCES.items()}
    shields |= {layers.name: _system(layers, None) for layers in VARIANTS}
    if policies is not None:
        mine = Layers(OWN, "this system, own policies", f"every layer, with the policies of {policies}")
        shields[OWN] = _system(mine, policies)
    return Catalogue(TASKS, {name: _attack(name) for name in ATTACKS}, shields)


def _attack(name: str) -> Attack:
    return Attack(ATTACKS[name].title, frozenset(ATTACKS[name].named))


def _alone(found: Described) -> Shield:
    measures = found.name in MEASURES

    def opens(cell: Cell, learning: Learning) -> AbstractContextManager[Defence]:
        return nullcontext(found.made(cell.seed))

    return Shield(
        title=found.title,
        opens=opens,
        says=found.source,
        names_devices=found.names_devices,
        wants_reference=measures or "reference" in found.needs,
        depends=(*ALONE, *MEASURING) if measures else ALONE,
    )


def _system(layers: Layers, policies: Path | None) -> Shield:
    return Shield(
        title=layers.title,
        opens=_guards(layers.name, policies),
        says=layers.says,
        wants_reference=True,
        depends=SYSTEM,
        also="" if policies is None else content_digest(policies),
    )


def _guards(name: str, policies: Path | None) -> Guards:
    def opens(cell: Cell, learning: Learning) -> AbstractContextManager[Defence]:
        return guarding(name, learning.devices, learning.server_rate, policies)

    return opens
