import pytest
import torch

from evaluation.comparison.defences.fltrust import fltrust
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.interfaces import Received
from tests.evaluation.comparison.defences.cohorts import attacked, common, scaled

STATE = {"point": torch.zeros(2)}


def round_of(*places: tuple[float, float], reference: tuple[float, float] = (2.0, 0.0)) -> Received:
    updates = {device: {"point": torch.tensor(place)} for device, place in enumerate(places)}
    return Received(1, STATE, updates, {}, {"point": torch.tensor(reference)})


def test_it_is_what_one_gets_by_hand() -> None:
    # Cosines 1, 0.6 and -1: (1 * (2, 0) + 0.6 * (1.2, 1.6)) / 1.6.
    one = round_of((10.0, 0.0), (0.3, 0.4), (-7.0, 0.0))
    found = fltrust(Rows.of(one), one)
    assert found.vector is not None
    assert found.vector.tolist() == pytest.approx([(2.0 + 0.6 * 1.2) / 1.6, 0.6 * 1.6 / 1.6])
    assert found.kept.tolist() == [True, True, False]
    assert found.suspicion.tolist() == pytest.approx([0.0, 0.4, 2.0])


def test_length_buys_nothing() -> None:
    shorter, longer = (attacked(scaled(common(), factor)) for factor in (0.1, 100.0))
    first, second = fltrust(Rows.of(shorter), shorter), fltrust(Rows.of(longer), longer)
    assert first.vector is not None
    assert second.vector is not None
    assert torch.allclose(first.vector, second.vector, atol=1e-6)


def test_nothing_is_left_where_all_go_the_other_way() -> None:
    one = round_of((-1.0, 0.1), (-1.0, -0.1))
    assert fltrust(Rows.of(one), one).vector is None


@pytest.mark.parametrize("reference", [None, {"point": torch.tensor([1.0, float("nan")])}, {"other": torch.ones(2)}])
def test_a_reference_that_is_none_is_the_servers_fault_and_said_so(reference: dict[str, torch.Tensor] | None) -> None:
    one = Received(3, STATE, {0: {"point": torch.ones(2)}}, {}, reference)
    with pytest.raises(ValueError, match=r"round 3.*trusted examples"):
        fltrust(Rows.of(one), one)
