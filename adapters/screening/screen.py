"""The one public operation: a cohort's updates in, one evidence document per update out."""

from collections.abc import Mapping
from statistics import median
from typing import Literal

from torch import Tensor

from adapters.screening.compare import Comparison, compare
from adapters.screening.manifest import Manifest
from adapters.screening.measure import LARGEST, MOST_VALUES, Measured, measure
from controlplane.contracts.evidence import UpdateEvidence

UNMEASURED = Comparison(cosine=-1.0, sign_agreement=0.0, duplicates=0)


def screen(
    updates: Mapping[str, Mapping[str, object]],
    manifest: Manifest,
    *,
    reference: Mapping[str, Tensor] | None = None,
    examples: Mapping[str, int] | None = None,
    seed: int = 0,
) -> dict[str, UpdateEvidence]:
    """Measure every update of a round's cohort; nothing that a device sends makes this raise.

    An update that is malformed, non-finite, zero or beyond 1e12 gets evidence that no sound policy accepts
    (cosine -1), and has no part in the median norm, the centre or the count of duplicates.

    Args:
        updates: by subject, name -> tensor (trained minus received).
        manifest: names, shapes and dtypes that the round asks for.
        reference: the update that the server's trusted data yields (after Cao et al., FLTrust, arXiv
            2012.13995); without one, each update is compared with the median of the others.
        examples: training examples that each subject claims.
        seed: of the random projection that finds near-duplicates.

    Raises:
        ValueError: ``reference`` does not fit the manifest, or is not finite: a fault of the server, not of a device.
    """
    if reference is not None:
        _require_sound(reference, manifest)
    measured = {subject: measure(update, manifest) for subject, update in updates.items()}
    comparable = {subject: one.tensors for subject, one in measured.items() if one.tensors is not None}
    found = dict(zip(comparable, compare(list(comparable.values()), reference, seed), strict=True))
    typical = median([measured[subject].norm for subject in comparable]) if comparable else 0.0
    kind: Literal["root", "centre"] = "centre" if reference is None else "root"
    claimed = examples or {}
    return {
        subject: UpdateEvidence(
            update_digest=one.digest,
            parameters=one.parameters,
            nonfinite=one.nonfinite,
            shapes_match=one.shapes_match,
            norm=one.norm,
            norm_ratio=_ratio(one, typical),
            cosine=found.get(subject, UNMEASURED).cosine,
            reference=kind,
            sign_agreement=found.get(subject, UNMEASURED).sign_agreement,
            duplicates=found.get(subject, UNMEASURED).duplicates,
            examples=max(0, min(claimed.get(subject, 0), MOST_VALUES)),
            layer_shares=dict(one.layer_shares),
        )
        for subject, one in measured.items()
    }


def _ratio(one: Measured, typical: float) -> float:
    return min(one.norm / typical, LARGEST) if typical > 0.0 else 0.0


def _require_sound(reference: Mapping[str, Tensor], manifest: Manifest) -> None:
    if not manifest.fits(reference) or measure(reference, manifest).nonfinite:
        raise ValueError("the reference update does not fit the manifest or is not finite")
