"""Say what decides, and what is to."""

from collections.abc import Collection, Mapping
from typing import Literal

from controlplane.contracts.policies import LAYERS, LayerStanding, PolicyLayer, PolicyStanding, Refusal, Release
from controlplane.releases.revisions import split


def stand(
    engine: Literal["opa", "embedded"],
    revision: str,
    layers: Collection[PolicyLayer],
    heads: Mapping[PolicyLayer, Release],
    refusals: Mapping[PolicyLayer, Refusal],
    now: float,
) -> PolicyStanding:
    """Return where the layers stand: those that decide here, and those that something was published for.

    Args:
        engine: what evaluates.
        revision: by which it decides; empty when it decides by none.
        layers: those that decide here.
        heads: the release of each layer that is to decide.
        refusals: the last bundle of each layer that was not taken.
        now: Unix seconds.
    """
    active = split(revision) if revision else {}
    return PolicyStanding(
        engine=engine,
        revision=revision,
        layers=[
            LayerStanding(
                layer=layer,
                is_expected=layer in layers,
                release=heads.get(layer),
                active_revision=active.get(layer, ""),
                age_seconds=max(0.0, now - heads[layer].published_at) if layer in heads else None,
                refusal=refusals.get(layer),
            )
            for layer in LAYERS
            if layer in layers or layer in heads
        ],
    )


def latest(*of: Mapping[PolicyLayer, Refusal]) -> dict[PolicyLayer, Refusal]:
    """Return the newest refusal of each layer."""
    found: dict[PolicyLayer, Refusal] = {}
    for refusals in of:
        for layer, refusal in refusals.items():
            if layer not in found or found[layer].time < refusal.time:
                found[layer] = refusal
    return found
