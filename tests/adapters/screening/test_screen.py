"""Screening: whatever is in an update, evidence comes out, and it is what policy may rely on."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.screening import Manifest, screen, update_digest
from controlplane.contracts.evidence import UpdateEvidence

STATE = {"weight": torch.zeros(6, 5), "bias": torch.zeros(6)}
MANIFEST = Manifest.of(STATE)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64)


def honest(seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    return {name: scale * (1 + 0.5 * torch.randn(t.shape, generator=noise)) for name, t in STATE.items()}


def cohort(size: int = 5) -> dict[str, dict[str, Tensor]]:
    return {f"d{seed}": honest(seed) for seed in range(size)}


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.sampled_from([(6, 5), (6,), (), (0,), (5, 6), (30,), (6, 5, 1)]))
    dtype = draw(st.sampled_from(DTYPES))
    value = draw(st.sampled_from([0.0, 1.0, -1.0, 1e-40, 1e30, -3e38, float("nan"), float("inf"), -float("inf")]))
    made = torch.full(shape, 0.0, dtype=dtype) if not dtype.is_floating_point else torch.full(shape, value).to(dtype)
    return draw(st.sampled_from([made, made.clone().requires_grad_(dtype.is_floating_point), made.expand(made.shape)]))


values = st.one_of(tensors(), st.none(), st.integers(), st.text(max_size=5), st.binary(max_size=5), st.just([1.0]))
hostile = st.dictionaries(st.one_of(st.sampled_from(["weight", "bias"]), st.text(max_size=8)), values, max_size=4)


@settings(max_examples=150, deadline=None)
@given(update=hostile, claim=st.integers(-(10**12), 10**12))
def test_nothing_that_is_sent_raises_or_changes_what_is_said_of_others(update: dict[str, Any], claim: int) -> None:
    others = cohort()
    alone = screen(others, MANIFEST)
    found = screen({**others, "hostile": update}, MANIFEST, examples={"hostile": claim})
    assert UpdateEvidence.model_validate(found["hostile"].model_dump()) == found["hostile"]
    assert found["hostile"].update_digest == update_digest(update, MANIFEST)
    if found["hostile"].cosine == -1.0 and found["hostile"].norm_ratio in (0.0, 1e12):
        assert {name: found[name] for name in others} == alone


@settings(max_examples=100, deadline=None)
@given(update=hostile)
def test_only_a_finite_update_of_the_right_form_is_ever_acceptable(update: dict[str, Any]) -> None:
    found = screen({**cohort(), "hostile": update}, MANIFEST)["hostile"]
    is_sound = MANIFEST.fits(update) and all(bool(torch.isfinite(value).all()) for value in update.values())
    if not is_sound:
        assert not found.shapes_match or found.nonfinite > 0
        assert found.cosine == -1.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_single_value_that_is_not_finite_is_counted(bad: float) -> None:
    update = honest(0)
    update["bias"][3] = bad
    found = screen({**cohort(), "bad": update}, MANIFEST)["bad"]
    assert (found.nonfinite, found.shapes_match, found.cosine, found.norm) == (1, True, -1.0, 0.0)


@pytest.mark.parametrize("scale", [0.0, 1e15])
def test_an_update_without_a_measurable_length_is_not_acceptable(scale: float) -> None:
    found = screen({**cohort(), "odd": honest(0, scale)}, MANIFEST)["odd"]
    assert found.cosine == -1.0
    assert found.norm_ratio in (0.0, pytest.approx(found.norm / screen(cohort(), MANIFEST)["d0"].norm, rel=0.5))


def test_an_update_points_away_when_its_sign_is_flipped() -> None:
    flipped = {name: -tensor for name, tensor in honest(9).items()}
    found = screen({**cohort(), "flipped": flipped}, MANIFEST)
    assert found["flipped"].cosine < -0.5
    assert all(found[name].cosine > 0.5 for name in cohort())
    assert found["flipped"].sign_agreement < 0.1


def test_an_update_is_never_a_part_of_what_it_is_compared_with() -> None:
    cancelling = {"weight": torch.full((6, 5), 5.0), "bias": torch.zeros(6)}
    others = {f"d{n}": {"weight": torch.zeros(6, 5), "bias": torch.full((6,), 1.0 + n)} for n in range(4)}
    found = screen({**others, "apart": cancelling}, MANIFEST)["apart"]
    assert found.cosine == pytest.approx(0.0, abs=1e-6)


def test_the_centre_is_the_geometric_median_of_the_others_no_longer_than_the_typical_one() -> None:
    updates = {**cohort(6), "large": honest(8, 50.0)}
    found = screen(updates, MANIFEST)
    vectors = {name: _flat(update) for name, update in updates.items()}
    typical = torch.stack([vector.norm() for vector in vectors.values()]).median()
    bounded = {name: vector * (typical / vector.norm()).clamp_max(1.0) for name, vector in vectors.items()}
    for name, vector in vectors.items():
        centre = _geometric_median([other for key, other in bounded.items() if key != name])
        assert found[name].cosine == pytest.approx(float(torch.cosine_similarity(vector, centre, dim=0)), abs=1e-3)


@pytest.mark.parametrize("jitter", [0.0, 1e-4, 1e-3, 1e-2])
def test_copies_are_recognised_though_they_were_shaken(jitter: float) -> None:
    copy = {name: tensor + jitter * torch.randn_like(tensor) for name, tensor in honest(0).items()}
    found = screen({**cohort(), "copy": copy}, MANIFEST, seed=7)
    assert (found["copy"].duplicates, found["d0"].duplicates) == (1, 1)
    assert all(found[f"d{n}"].duplicates == 0 for n in range(1, 5))


@pytest.mark.parametrize("seed", range(5))
def test_honest_devices_with_alike_data_are_no_copies(seed: int) -> None:
    common = torch.randn(2000, generator=torch.Generator().manual_seed(seed))
    noise = [torch.randn(2000, generator=torch.Generator().manual_seed(100 + n)) for n in range(20)]
    updates = {f"d{n}": {"w": common + 0.05 * each} for n, each in enumerate(noise)}
    found = screen(updates, Manifest.of({"w": common}), seed=seed)
    assert _cosine(updates["d0"], updates["d1"]) > 0.997
    assert [evidence.duplicates for evidence in found.values()] == [0] * 20


@given(factor=st.floats(0.01, 100.0))
@settings(max_examples=30, deadline=None)
def test_a_scaled_copy_is_a_copy_and_keeps_its_cosine(factor: float) -> None:
    scaled = {name: factor * tensor for name, tensor in honest(3).items()}
    updates = {**cohort(), "d3": scaled}
    found, plain = screen(updates, MANIFEST)["d3"], screen(cohort(), MANIFEST)["d3"]
    assert found.cosine == pytest.approx(plain.cosine, abs=1e-4)
    assert found.norm == pytest.approx(factor * plain.norm, rel=1e-4)


def test_norms_are_told_against_the_cohorts_median() -> None:
    updates = {**cohort(), "large": honest(8, 10.0)}
    found = screen(updates, MANIFEST)
    norms = sorted(evidence.norm for evidence in found.values())
    typical = (norms[2] + norms[3]) / 2
    assert found["large"].norm_ratio == pytest.approx(found["large"].norm / typical)


def test_the_share_of_each_tensor_adds_up_to_one() -> None:
    shares = screen(cohort(), MANIFEST)["d0"].layer_shares
    assert set(shares) == {"weight", "bias"}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_a_reference_that_is_unsound_is_the_servers_fault() -> None:
    with pytest.raises(ValueError, match="reference"):
        screen(cohort(), MANIFEST, reference={"weight": torch.zeros(6, 5)})
    with pytest.raises(ValueError, match="reference"):
        screen(cohort(), MANIFEST, reference={**honest(1), "bias": torch.full((6,), float("nan"))})


def test_a_reference_replaces_the_centre() -> None:
    away = {name: -tensor for name, tensor in honest(50).items()}
    found = screen(cohort(), MANIFEST, reference=away)
    assert {evidence.reference for evidence in found.values()} == {"root"}
    assert all(evidence.cosine < 0 for evidence in found.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_point_type_is_screened(dtype: torch.dtype) -> None:
    manifest = Manifest.of({name: tensor.to(dtype) for name, tensor in STATE.items()})
    updates = {name: {key: value.to(dtype) for key, value in update.items()} for name, update in cohort().items()}
    assert all(evidence.cosine > 0.5 for evidence in screen(updates, manifest).values())


def test_a_cohort_of_nobody_and_of_one() -> None:
    assert screen({}, MANIFEST) == {}
    assert screen({"one": honest(0)}, MANIFEST)["one"].cosine == -1.0


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = screen(cohort(), MANIFEST)
    monkeypatch.setattr("adapters.screening.values.PIECE", 7)
    blocked = screen(cohort(), MANIFEST)
    for name in whole:
        assert blocked[name].cosine == pytest.approx(whole[name].cosine, abs=1e-4)
        assert blocked[name].sign_agreement == whole[name].sign_agreement


def _flat(update: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([update[name].reshape(-1) for name in sorted(update)]).double()


def _geometric_median(points: list[Tensor]) -> Tensor:
    median = torch.stack(points).mean(dim=0)
    for _ in range(200):
        weights = [1.0 / float((point - median).norm()) for point in points]
        median = sum((w * point for w, point in zip(weights, points, strict=True)), torch.zeros(())) / sum(weights)
    return median


def _cosine(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    flat = [torch.cat([each[name].reshape(-1) for name in sorted(one)]) for each in (one, other)]
    return float(torch.nn.functional.cosine_similarity(flat[0], flat[1], dim=0))
