"""Every attack, one after another, in a guarded world and in one whose layers are switched off."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.attesting.interface import CannotAttest
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.flooding import prompt_flooding
from evaluation.beyond.forging import Makers, forged_attestation
from evaluation.beyond.lateral import lateral_movement
from evaluation.beyond.layers import OFF, ON
from evaluation.beyond.lying import lying_aggregator
from evaluation.beyond.probing import membership_inference, model_extraction
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.stolen import stolen_capability
from evaluation.beyond.theft import key_theft
from evaluation.beyond.world import World, world


@dataclass(frozen=True)
class Scene:
    """Where attacks are tried.

    Attributes:
        on: as shipped.
        off: without the layers.
        sizes: how much is tried.
        makers: of TPMs in software; none where they cannot run here.
        lacks: why they cannot.
    """

    on: World
    off: World
    sizes: Sizes
    makers: Makers | None
    lacks: str = ""


def _forged(scene: Scene) -> list[Attempt]:
    if scene.makers is None:
        return [
            Attempt(
                attack="forged attestation",
                has="an enrolled device",
                tries=f"not tried: {scene.lacks}",
                protection="attestation",
                on=Tally(0, 0),
                off=None,
                without="",
            )
        ]
    return forged_attestation(scene.on, scene.off, scene.makers, scene.sizes)


ATTACKS: Mapping[str, Callable[[Scene], list[Attempt]]] = {
    "stolen-capability": lambda scene: stolen_capability(scene.on, scene.sizes),
    "key-theft": lambda scene: key_theft(scene.on, scene.off, scene.sizes),
    "forged-attestation": _forged,
    "lateral-movement": lambda scene: lateral_movement(scene.on, scene.sizes),
    "lying-aggregator": lambda scene: lying_aggregator(scene.on, scene.sizes),
    "prompt-flooding": lambda scene: prompt_flooding(scene.on, scene.off, scene.sizes),
    "membership-inference": lambda scene: membership_inference(scene.on, scene.off, scene.sizes),
    "model-extraction": lambda scene: model_extraction(scene.on, scene.off, scene.sizes),
}
"""By name. The last one sets the clocks ahead, so what needs the time of day comes before it."""


def tried(names: Sequence[str], sizes: Sizes, told: Callable[[str], None] = lambda name: None) -> list[Attempt]:
    """Try attacks and return what came of them.

    Args:
        names: which; in the order of `ATTACKS` whatever the order here.
        sizes: how much is tried.
        told: called with each name before it is tried.
    """
    with _scene(sizes, needs_tpms="forged-attestation" in names) as scene:
        found: list[Attempt] = []
        for name, attack in ATTACKS.items():
            if name in names:
                told(name)
                found += attack(scene)
    return found


@contextmanager
def _scene(sizes: Sizes, *, needs_tpms: bool) -> Iterator[Scene]:
    # The TSS writes each error on its way up; a forgery is meant to fail.
    os.environ.setdefault("TSS2_LOG", "all+none")
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        makers, lacks = None, ""
        if needs_tpms:
            try:
                makers = Makers(Path(folder))
            except CannotAttest as missing:
                lacks = str(missing)
        with world(ON, None if makers is None else makers.roots) as on, world(OFF) as off:
            yield Scene(on, off, sizes, makers, lacks)
