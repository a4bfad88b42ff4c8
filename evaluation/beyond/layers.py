"""What policy data says in the two worlds: as shipped, and with the layers off that attacks are to be stopped by."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from evaluation.beyond.world import GUARDED, MODEL, Change

PLENTY = 1_000_000_000
CALIBRATED = 1000


def _with_guarded_model(document: Any) -> None:
    document[GUARDED] = deepcopy(document[MODEL]) | {"sensitivity": "restricted"}


def _attested(document: Any) -> None:
    # Devices are newcomers here, and their evidence is of TPMs in software.
    document["sensitivities"]["restricted"] |= {"attestation": "software", "trust_minimum": 0.25}


def _calibrated(document: Any) -> None:
    document["calibration"]["inference"] = [0.0] * CALIBRATED


def _off(document: Any) -> None:
    _attested(document)
    for sensitivity in document["sensitivities"].values():
        sensitivity |= {"attestation": "none", "trust_minimum": 0.0}
    document["detail"] = {"full": "full", "watched": "full"}
    document["behaviour"] |= {"alpha": 1e-9, "p_minimum": 0.0}
    document["evidence"] |= {"cosine_minimum": -1.0, "norm_ratio_maximum": 1e6}


def _without_budgets(document: Any) -> None:
    for scope in ("subject", "model", "segment"):
        document[scope]["any"] = {
            "hour": {"requests": PLENTY, "tokens": PLENTY},
            "day": {"requests": PLENTY, "tokens": PLENTY},
        }
    document["lease"] |= {"requests": 4096, "tokens": 10_000_000}


ON: Mapping[str, Change] = {"resources": _with_guarded_model, "limits": _attested, "behaviour": _calibrated}
"""As shipped, with a second model that asks for attestation, and inferences calibrated on a fleet that was quiet."""

OFF: Mapping[str, Change] = {
    "resources": _with_guarded_model,
    "limits": _off,
    "behaviour": _calibrated,
    "budgets": _without_budgets,
}
"""No model asks for attestation, behaviour sets nobody apart, everybody gets full answers, budgets never end."""
