"""Made-up cohorts of the kind that screening measures: honest homes, and updates that stand out."""

import random
from typing import Any

from hypothesis import strategies as st

from controlplane.contracts.behaviour import BehaviourTerms
from controlplane.contracts.evidence import UpdateEvidence

TERMS = BehaviourTerms(
    heterogeneity=2.0,
    levels=[0.005, 0.02, 0.05],
    stake=0.5,
    hazard=0.05,
    horizon=50,
    forgetting=0.93,
    newcomer=4.06,
    confidence=1.645,
    window=5,
    comparable=20,
    skew=[0.8],
    weights={"updates": 0.6, "access": 0.2, "inference": 0.2},
    calibration={"any": [0.0] * 900 + [number / 50 for number in range(124)]},
)


def evidence(**changes: object) -> UpdateEvidence:
    usual: dict[str, Any] = {
        "update_digest": "sha256:" + "0" * 64,
        "parameters": 1000,
        "nonfinite": 0,
        "shapes_match": True,
        "norm": 1.0,
        "norm_ratio": 1.0,
        "cosine": 0.3,
        "reference": "root",
        "sign_agreement": 0.6,
        "duplicates": 0,
        "examples": 100,
        "layer_shares": {"head.weight": 0.9, "query_up": 0.1},
        "layer_cosines": {"head.weight": 0.3, "query_up": 0.5},
        "sign_balance": 0.5,
        "twin_cosine": 0.4,
        "centrality": 0.2,
        "innovation": 0.1,
        "replay_cosine": 0.9,
        "spectral_residual": 0.7,
        "low_frequency": 0.06,
        "subspace_overlap": 0.4,
        "concentration": 0.7,
        "projection_error": 0.01,
    }
    return UpdateEvidence.model_validate(usual | changes)


def unmeasured(**changes: object) -> UpdateEvidence:
    """Evidence of an enforcement point that knows none of the optional measurements."""
    missing = (
        "layer_cosines sign_balance twin_cosine centrality innovation replay_cosine spectral_residual "
        "low_frequency subspace_overlap concentration projection_error"
    )
    return evidence(**dict.fromkeys(missing.split()) | changes)


def honest(noise: random.Random) -> UpdateEvidence:
    cosine, sign = noise.gauss(0.3, 0.05), noise.gauss(0.6, 0.02)
    return evidence(
        norm_ratio=max(0.1, noise.gauss(1.0, 0.12)),
        cosine=cosine,
        sign_agreement=sign,
        sign_balance=noise.gauss(0.5, 0.005),
        twin_cosine=noise.uniform(0.3, 0.5),
        centrality=noise.gauss(0.2, 0.02),
        innovation=noise.uniform(0.05, 0.2),
        replay_cosine=noise.uniform(0.85, 0.95),
        subspace_overlap=noise.gauss(0.4, 0.03),
        layer_cosines={"head.weight": cosine, "query_up": noise.gauss(0.5, 0.05)},
        concentration=noise.uniform(0.5, 0.95),
    )


def homes(count: int, seed: int = 0) -> dict[str, UpdateEvidence]:
    noise = random.Random(seed)
    return {f"home-{number}": honest(noise) for number in range(count)}


def _optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


shares, cosines = st.floats(0.0, 1.0), st.floats(-1.0, 1.0)
layers = st.dictionaries(st.sampled_from(["a", "b", "c"]), shares, max_size=3)
any_evidence = st.builds(
    evidence,
    nonfinite=st.sampled_from([0, 0, 0, 3]),
    shapes_match=st.sampled_from([True, True, True, False]),
    norm=st.sampled_from([0.0, 1e-9, 1.0, 1e6, 1e12]),
    norm_ratio=st.floats(0.0, 1e12),
    cosine=cosines,
    sign_agreement=shares,
    duplicates=st.integers(0, 20),
    layer_shares=layers,
    layer_cosines=_optional(st.dictionaries(st.sampled_from(["a", "b", "c"]), cosines, max_size=3)),
    sign_balance=_optional(shares),
    twin_cosine=_optional(cosines),
    centrality=_optional(cosines),
    innovation=_optional(shares),
    replay_cosine=_optional(cosines),
    seen_before=st.booleans(),
    spectral_residual=_optional(shares),
    low_frequency=_optional(shares),
    subspace_overlap=_optional(shares),
    concentration=_optional(shares),
)
any_cohort = st.lists(any_evidence, min_size=1, max_size=9).map(
    lambda found: {f"device-{index}": one for index, one in enumerate(found)}
)
