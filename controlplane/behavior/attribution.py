"""Attribution: which measurements and tensors a score comes from, the attack that looks like it, and words for it."""

from collections.abc import Iterable, Mapping, Sequence

from controlplane.behavior.attacks import ATTACKS
from controlplane.behavior.patterns import likely
from controlplane.behavior.scores import Part, Score, of_one, shares_of
from controlplane.contracts.behaviour import Attack, Attribution, FeatureShare, LayerShare
from controlplane.contracts.evidence import UpdateEvidence

_FEATURES, _LAYERS = 8, 8
_LARGEST = 1e12
_LONGEST_SENTENCE = 512


_WORDS = {
    "malformed": "it has another shape, or values that are no numbers",
    "seen_before": "the same update came before",
    "norm_ratio": "its length is {value:.2f} times the median",
    "cosine": "its cosine to the reference is {value:.2f} where {expected:.2f} is usual",
    "sign_agreement": "it agrees with {value:.0%} of the reference's signs where {expected:.0%} is usual",
    "twin_cosine": "its cosine to another update is {value:.2f} where {expected:.2f} is usual",
    "layer_cosines": "a tensor's cosine to the reference is {value:.2f} where {expected:.2f} is usual",
}
_ANYTHING = "its {name} is {value:.3g} where {expected:.3g} is usual"


def of_update(evidence: UpdateEvidence, score: Score) -> Attribution | None:
    """Return why an update scores what it does; none where it scores nothing."""
    if not score.value:
        return None
    attack, confidence = likely(evidence, score)
    return attributed(score.parts, score.layers, attack, confidence)


def attributed(parts: Sequence[Part], layers: Mapping[str, float], attack: Attack, confidence: float) -> Attribution:
    """Return the attribution of a deviation, whichever channel it is of.

    Args:
        parts: what deviates, at least one, each with an excess above 0.
        layers: excess by tensor, squared.
        attack: the likely one.
        confidence: in it.
    """
    shares = shares_of(parts)
    shown = {part.name: part for part in parts}
    known = ATTACKS[attack]
    features = [
        FeatureShare(name=name, share=share, value=_bounded(shown[name].value), expected=_bounded(shown[name].expected))
        for name, share in _largest(shares, _FEATURES)
    ]
    return Attribution(
        features=features,
        layers=[LayerShare(name=name, share=share) for name, share in _largest(of_one(layers), _LAYERS)],
        attack=attack,
        confidence=confidence,
        atlas=known.atlas,
        owasp=known.owasp,
        sentence=_sentence(known.phrase, features),
    )


def _sentence(phrase: str, features: Iterable[FeatureShare]) -> str:
    told = [
        _WORDS.get(one.name, _ANYTHING).format(name=one.name.replace("_", " "), value=one.value, expected=one.expected)
        for one in features
        if one.share >= 0.1
    ]
    return f"This looks like {phrase}: {'; '.join(told[:3])}."[:_LONGEST_SENTENCE]


def _largest(shares: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:count]


def _bounded(number: float) -> float:
    return min(_LARGEST, max(-_LARGEST, number))
