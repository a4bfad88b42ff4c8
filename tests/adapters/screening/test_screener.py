"""A screener measures a cohort in one read, compares it with earlier rounds, and holds little of it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.screening import Manifest, Screener, screen
from controlplane.contracts.evidence import MAX_LAYERS, UpdateEvidence

Update = dict[str, Tensor]

SHAPES = {"head.bias": (40,), "head.weight": (40, 250), "trunk.weight": (300, 250)}
MANIFEST = Manifest.of({name: torch.zeros(shape) for name, shape in SHAPES.items()})


def honest(seed: int, shapes: Mapping[str, tuple[int, ...]] = SHAPES, apart: float = 1.5) -> Update:
    common, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed + 1)
    return {
        name: torch.randn(shape, generator=common) + apart * torch.randn(shape, generator=own)
        for name, shape in shapes.items()
    }


def turned(update: Update, factor: float = -1.0) -> Update:
    return {name: factor * tensor for name, tensor in update.items()}


def cohort(size: int = 12, first: int = 0) -> dict[str, Update]:
    return {f"d{number}": honest(first + number) for number in range(size)}


def round_after(first: int, size: int = 12) -> dict[str, Update]:
    return {f"d{number}": honest(first + number) for number in range(size)}


def only(found: Mapping[str, UpdateEvidence], field: str) -> list[float]:
    return [getattr(one, field) for one in found.values()]


@pytest.fixture
def screener() -> Screener:
    return Screener(seed=5)


def test_everything_is_measured_that_a_single_round_allows(screener: Screener) -> None:
    found = screener.screen(cohort(), MANIFEST)["d0"]
    unmeasured = {name for name, value in found.model_dump().items() if value is None}
    assert unmeasured == {"innovation", "replay_cosine", "subspace_overlap"}
    assert not found.seen_before


def test_a_second_round_is_compared_with_the_first(screener: Screener) -> None:
    screener.screen(cohort(), MANIFEST)
    found = screener.screen({**round_after(100), "new": honest(999)}, MANIFEST)
    assert found["d0"].innovation is not None
    assert found["new"].innovation is None
    assert all(one.replay_cosine is not None and one.replay_cosine < 0.6 for one in found.values())


def test_what_came_before_is_recognised_whole_shaken_and_from_another_device(screener: Screener) -> None:
    first = cohort()
    screener.screen(first, MANIFEST)
    shaken = {name: tensor + 0.01 * torch.randn_like(tensor) for name, tensor in first["d1"].items()}
    sent = {**round_after(100), "d0": first["d0"], "d1": shaken, "thief": turned(first["d2"], 3.0)}
    found = screener.screen(sent, MANIFEST)
    assert [name for name, one in found.items() if one.seen_before] == ["d0"]
    for name in ("d0", "d1"):
        assert found[name].innovation == pytest.approx(0.0, abs=1e-3)
    assert min(found[name].replay_cosine or 0.0 for name in ("d0", "d1", "thief")) > 0.999
    assert found["thief"].innovation is None
    assert max(found[f"d{n}"].replay_cosine or 0.0 for n in range(2, 12)) < 0.6


def test_the_same_round_is_not_held_against_itself(screener: Screener) -> None:
    once = screener.screen(cohort(), MANIFEST, round_id="r1")
    again = screener.screen(cohort(), MANIFEST, round_id="r1")
    assert again == once
    later = screener.screen(cohort(), MANIFEST, round_id="r2")
    assert all(one.seen_before and (one.replay_cosine or 0.0) > 0.999 for one in later.values())


def test_updates_of_another_form_begin_anew_and_a_digest_stays_known(screener: Screener) -> None:
    screener.screen(cohort(), MANIFEST)
    shapes = {"other": (60, 50)}
    other = Manifest.of({"other": torch.zeros(60, 50)})
    updates = {f"d{number}": honest(number, shapes) for number in range(6)}
    assert screener.screen(updates, other)["d0"].replay_cosine is None
    found = screener.screen(cohort(), MANIFEST)["d0"]
    assert (found.seen_before, found.replay_cosine) == (True, None)


def test_memory_has_an_end() -> None:
    small = Screener(seed=5, remembered=12, digests=12)
    small.screen(cohort(), MANIFEST)
    small.screen(round_after(100), MANIFEST)
    found = small.screen(cohort(), MANIFEST)["d0"]
    assert not found.seen_before
    assert found.replay_cosine is not None
    assert found.replay_cosine < 0.9


def test_two_screeners_have_two_secrets() -> None:
    one, other = (Screener().screen(cohort(), MANIFEST)["d0"] for _ in range(2))
    assert one.norm == other.norm
    assert one.twin_cosine != other.twin_cosine


def test_a_one_off_screening_remembers_nothing_and_is_the_same_each_time() -> None:
    assert screen(cohort(), MANIFEST, seed=3) == screen(cohort(), MANIFEST, seed=3)
    assert only(screen(cohort(), MANIFEST), "replay_cosine") == [None] * 12


def test_attackers_stand_out_in_what_is_measured_for_them(screener: Screener) -> None:
    lumped = honest(50)
    lumped["head.weight"] = torch.zeros(40, 250)
    lumped["head.weight"][7] = 100.0
    smooth = {name: tensor.abs() for name, tensor in honest(51).items()}
    random = {name: torch.randn(shape, generator=torch.Generator().manual_seed(52)) for name, shape in SHAPES.items()}
    twin = {name: tensor + 0.3 * honest(53)[name] for name, tensor in honest(0).items()}
    sent = {**cohort(), "flip": turned(honest(49)), "lumped": lumped, "smooth": smooth, "random": random, "twin": twin}
    found = screener.screen(sent, MANIFEST)
    others = [found[name] for name in cohort() if name != "d0"]
    assert found["flip"].cosine < -0.3 < 0.3 < min(one.cosine for one in others)
    assert (found["flip"].centrality or 0.0) < 0.0 < min(one.centrality or 0.0 for one in others)
    assert (found["lumped"].concentration or 0.0) > 0.5 > max(one.concentration or 0.0 for one in others)
    assert (found["smooth"].sign_balance or 0.0) == 1.0
    assert (found["smooth"].low_frequency or 0.0) > 0.4 > max(one.low_frequency or 0.0 for one in others)
    assert (found["random"].spectral_residual or 0.0) > max(one.spectral_residual or 0.0 for one in others)
    assert (found["twin"].twin_cosine or 0.0) > 0.85 > max(one.twin_cosine or 0.0 for one in others)
    assert UpdateEvidence.model_validate(found["lumped"].model_dump()) == found["lumped"]


def test_cosines_are_those_of_the_whole_update_within_what_is_stated(screener: Screener) -> None:
    reference = honest(77)
    found = screener.screen(cohort(), MANIFEST, reference=reference)
    for name, update in cohort().items():
        error = found[name].projection_error
        assert error is not None
        assert 0.0 < error < 0.03
        assert found[name].cosine == pytest.approx(_cosine(update, reference), abs=4 * error)
        layers = found[name].layer_cosines or {}
        assert set(layers) == set(SHAPES)
        for layer, cosine in layers.items():
            assert cosine == pytest.approx(_cosine({layer: update[layer]}, {layer: reference[layer]}), abs=0.2)
        assert layers["head.bias"] == pytest.approx(
            _cosine({"b": update["head.bias"]}, {"b": reference["head.bias"]}), abs=1e-5
        )


def test_a_tensor_without_a_direction_has_no_cosine(screener: Screener) -> None:
    still = honest(3)
    still["head.bias"] = torch.zeros(40)
    found = screener.screen({**cohort(), "still": still}, MANIFEST)["still"]
    assert set(found.layer_cosines or {}) == {"head.weight", "trunk.weight"}
    assert found.layer_shares["head.bias"] == 0.0


def test_of_many_tensors_the_largest_are_told() -> None:
    shapes = {f"layer{number}": (8, 8) for number in range(100)}
    manifest = Manifest.of({name: torch.zeros(8, 8) for name in shapes})
    updates = {f"d{n}": honest(n, shapes) for n in range(5)}
    updates["d0"]["layer99"] = 100 * torch.ones(8, 8)
    found = screen(updates, manifest)["d0"]
    assert len(found.layer_shares) == len(found.layer_cosines or {}) == MAX_LAYERS
    assert max(found.layer_shares, key=lambda name: found.layer_shares[name]) == "layer99"


@pytest.mark.parametrize("reference", [{name: torch.zeros(shape) for name, shape in SHAPES.items()}])
def test_a_reference_without_a_direction_accepts_nobody(screener: Screener, reference: Update) -> None:
    found = screener.screen(cohort(), MANIFEST, reference=reference)
    assert only(found, "cosine") == [-1.0] * 12
    assert only(found, "sign_agreement") == [0.0] * 12
    assert only(found, "layer_cosines") == [None] * 12


LORA = {
    "base_model.model.q.lora_A.weight": (4, 96),
    "base_model.model.q.lora_B.weight": (96, 4),
    "base_model.model.v.lora_A.weight": (4, 96),
    "base_model.model.v.lora_B.weight": (96, 4),
}


@pytest.mark.parametrize("shapes", [LORA, {"adapter.query_up": (384, 8), "adapter.value_up": (384, 8)}], ids=str)
@pytest.mark.parametrize("rooted", [True, False])
def test_adapters_that_write_elsewhere_are_told_by_their_subspace(
    screener: Screener, shapes: dict[str, tuple[int, ...]], rooted: bool
) -> None:
    manifest = Manifest.of({name: torch.zeros(shape) for name, shape in shapes.items()})
    updates = {f"d{number}": honest(number, shapes, apart=0.5) for number in range(9)}
    apart = {name: torch.randn(shape, generator=torch.Generator().manual_seed(7)) for name, shape in shapes.items()}
    reference = honest(50, shapes, apart=0.5) if rooted else None
    found = screener.screen({**updates, "apart": apart}, manifest, reference=reference)
    overlaps = {name: one.subspace_overlap for name, one in found.items()}
    assert min(overlaps[name] or 0.0 for name in updates) > 0.5 > 0.3 > (overlaps["apart"] or 0.0)


def test_a_stream_gives_what_a_mapping_gives_and_little_of_it_is_in_memory(tmp_path: Path) -> None:
    whole = cohort(20)
    for name, update in whole.items():
        save_file(update, tmp_path / f"{name}.safetensors")
    living, most = 0, 0
    lock = threading.Lock()

    class Counted(dict[str, object]):
        def __init__(self, update: Update) -> None:
            nonlocal living, most
            super().__init__(update)
            with lock:
                living += 1
                most = max(most, living)

        def __del__(self) -> None:
            nonlocal living
            with lock:
                living -= 1

    def stream() -> Iterator[tuple[str, Mapping[str, object]]]:
        for name, update in whole.items():
            yield name, Counted(update)

    in_memory = screen(whole, MANIFEST, seed=2)
    assert screen(stream(), MANIFEST, seed=2) == in_memory
    assert most <= torch.get_num_threads() + 3
    assert screen({name: tmp_path / f"{name}.safetensors" for name in whole}, MANIFEST, seed=2) == in_memory
    assert screen({name: _later(update) for name, update in whole.items()}, MANIFEST, seed=2) == in_memory


def test_digests_that_are_known_are_taken_over(screener: Screener) -> None:
    given = {name: f"sha256:{number:064x}" for number, name in enumerate(cohort())}
    found = screener.screen(cohort(), MANIFEST, digests=given)
    assert {name: one.update_digest for name, one in found.items()} == given


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_type_gives_the_same_evidence_as_far_as_it_is_as_fine(screener: Screener, dtype: torch.dtype) -> None:
    manifest = Manifest.of({name: torch.zeros(shape, dtype=dtype) for name, shape in SHAPES.items()})
    rounded = {key: {name: tensor.to(dtype) for name, tensor in one.items()} for key, one in cohort().items()}
    found, plain = screener.screen(rounded, manifest), Screener(seed=5).screen(cohort(), MANIFEST)
    for name in plain:
        for field in ("norm_ratio", "cosine", "sign_agreement", "twin_cosine", "concentration", "low_frequency"):
            assert getattr(found[name], field) == pytest.approx(getattr(plain[name], field), abs=0.02), field


def test_values_of_float64_that_float32_cannot_hold_do_not_raise(screener: Screener) -> None:
    manifest = Manifest.of({"w": torch.zeros(20, 64, dtype=torch.float64)})
    updates = {f"d{n}": {"w": torch.randn(20, 64, dtype=torch.float64)} for n in range(5)}
    sizes = {"huge": 1e300, "tiny": 1e-300, "large": 1e30, "small": 1e-30}
    found = screener.screen(
        {**updates, **{name: {"w": size * torch.ones(20, 64, dtype=torch.float64)} for name, size in sizes.items()}},
        manifest,
    )
    assert [found[name].norm for name in ("huge", "large")] == [1e12, 1e12]
    assert found["small"].norm == pytest.approx(1e-30 * 1280**0.5)
    assert found["huge"].cosine == -1.0
    assert all(found[name].cosine > -1.0 for name in updates)


def test_what_has_no_values_in_memory_is_not_screened(screener: Screener) -> None:
    odd = {
        "meta": {name: torch.zeros(shape, device="meta") for name, shape in SHAPES.items()},
        "sparse": {name: torch.zeros(shape).to_sparse() for name, shape in SHAPES.items()},
        "endless": {name: torch.zeros(1).expand(10**9) for name in SHAPES},
    }
    found = screener.screen({**cohort(), **odd}, MANIFEST)
    assert all(not found[name].shapes_match and found[name].cosine == -1.0 for name in odd)
    assert {name: found[name] for name in cohort()} == Screener(seed=5).screen(cohort(), MANIFEST)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_tensors_on_a_device_give_the_same_evidence(screener: Screener) -> None:
    there = {key: {name: tensor.cuda() for name, tensor in one.items()} for key, one in cohort().items()}
    assert screener.screen(there, MANIFEST) == Screener(seed=5).screen(cohort(), MANIFEST)


def _later(update: Update) -> Callable[[], Update]:
    return lambda: update


def _cosine(one: Update, other: Update) -> float:
    flat = [torch.cat([each[name].reshape(-1) for name in sorted(one)]) for each in (one, other)]
    return float(torch.nn.functional.cosine_similarity(flat[0], flat[1], dim=0))


def test_whoever_sends_nothing_twice_sends_nothing_again_and_no_replay(screener: Screener) -> None:
    nothing = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    screener.screen({**cohort(), "first": nothing}, MANIFEST)
    found = screener.screen({**round_after(100), "first": nothing, "second": nothing, "copy": honest(0)}, MANIFEST)
    assert [name for name, one in found.items() if one.seen_before] == ["copy"]
