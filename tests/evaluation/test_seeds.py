import pytest

from evaluation.seeds import holds, table

GOOD = {
    "seed": 0,
    "clean_accuracy": 0.9,
    "unguarded_accuracy": 0.5,
    "guarded_accuracy": 0.891,
    "unguarded_asr": 1.0,
    "guarded_asr": 0.05,
    "attackers": 4,
    "attackers_caught": 4,
    "honest_quarantined": 0,
}


def test_a_run_within_all_bars_holds() -> None:
    assert holds(GOOD)


@pytest.mark.parametrize(
    "worse",
    [{"guarded_accuracy": 0.889}, {"guarded_asr": 0.051}, {"attackers_caught": 3}, {"honest_quarantined": 1}],
)
def test_a_run_beyond_one_bar_does_not(worse: dict[str, float]) -> None:
    assert not holds(GOOD | worse)
    assert table([GOOD, GOOD | worse]).splitlines()[-1].endswith("| NO |")
