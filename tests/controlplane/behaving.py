"""What tests say was observed of a subject."""

import json
from typing import Any

from controlplane.contracts.behaviour import Attribution, BehaviourRecord, FeatureShare, Verdict, Wealth
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.contracts.observed import Observed, Score
from controlplane.jose.keys import DeviceKey
from controlplane.sidecar.folders import product_folder

NOW = 1_767_225_600.0
LOW = Trust(score=0.25, observations=3)
TERMS: dict[str, Any] = json.loads((product_folder("policies") / "data/behaviour/data.json").read_text())
"""By which behaviour is judged, as it is shipped."""


def device(**changes: Any) -> Device:
    """Return a newcomer with a key of its own."""
    key = DeviceKey.generate()
    stated = {
        "id": f"dev-{key.thumbprint}",
        "key": key.public,
        "key_thumbprint": key.thumbprint,
        "roles": ["trainer"],
        "segment": "homes",
        "status": "active",
        "attestation": Attestation(),
        "trust": Trust(score=0.6, observations=0),
        "enrolled_at": NOW,
    }
    return Device.model_validate({**stated, **changes})


def record(**changes: Any) -> BehaviourRecord:
    """Return a record of somebody who was seen in two channels."""
    stated = {
        "state": "watched",
        "since": NOW,
        "wealth": {"updates": Wealth(active=1.5, waiting=0.25, steps=7), "access": Wealth()},
        "conforming": 6.25,
        "deviating": 1.5,
        "observed_at": NOW + 60.0,
    }
    return BehaviourRecord.model_validate({**stated, **changes})


def attribution(**changes: Any) -> Attribution:
    """Return the reasons for a flipped update."""
    features = [FeatureShare(name="cosine", share=1.0, value=-0.9, expected=0.8)]
    stated = {"features": features, "attack": "sign_flip", "confidence": 0.9, "sentence": "It points the other way."}
    return Attribution.model_validate({**stated, **changes})


def verdict(subject: str, **changes: Any) -> Verdict:
    """Return a verdict on a flipped update."""
    stated = {
        "subject": subject,
        "time": NOW + 60.0,
        "channel": "updates",
        "round_id": "r1",
        "decision_id": "dec-1",
        "state": "watched",
        "was": "trusted",
        "p_value": 0.004,
        "e_value": 2.5,
        "trust": 0.25,
        "attribution": attribution(),
    }
    return Verdict.model_validate({**stated, **changes})


def observed(subject: str, version: int = 0, **changes: Any) -> Observed:
    """Return what an observation makes of a subject; ``becomes`` is its state, with the status that follows."""
    becomes = changes.pop("becomes", None)
    if becomes is not None:
        status = "quarantined" if becomes == "quarantined" else "active"
        changes = {"record": record(state=becomes), "status": status, **changes}
    stated: dict[str, Any] = {"record": record(), "e_value": 2.5, "trust": LOW, **changes}
    return Observed(subject=subject, version=version, **stated)


def score(value: float, **changes: Any) -> Score:
    """Return how much an update of a home's device deviated."""
    stated: dict[str, Any] = {"channel": "updates", "peers": "homes.skew0", "round_id": "r1", "time": NOW, **changes}
    return Score(value=value, **stated)
