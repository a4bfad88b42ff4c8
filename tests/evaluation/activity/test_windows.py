"""What a network reads: standardised signals, mirrored arms, and the knock where it was put."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluation.activity.recordings import Recording
from evaluation.activity.windows import HOP, KNOCK, KNOCKED_CHANNEL, MIRRORED, SAMPLES, Signals, Window, windows_of


def test_windows_overlap_by_half_and_stay_within_their_recording(made_up: tuple[Recording, ...]) -> None:
    starts = [window.start for window in windows_of(made_up, [4])]
    assert starts == list(range(0, len(made_up[4].signal) - SAMPLES + 1, HOP))
    assert {window.label for window in windows_of(made_up, [4])} == {made_up[4].exercise}


def test_a_window_is_its_part_of_its_recording(made_up: tuple[Recording, ...]) -> None:
    right = next(index for index, recording in enumerate(made_up) if recording.arm == "right")
    signals = Signals(made_up, [right])
    whole = made_up[right].signal
    expected = (whole[60:160] - whole.mean(0)) / whole.std(0, ddof=1)
    read = signals.read([Window(right, 60, 0)])
    torch.testing.assert_close(read[0], torch.from_numpy(expected.T.astype(np.float32)), rtol=1e-4, atol=1e-4)


def test_both_arms_of_one_movement_read_alike() -> None:
    rng = np.random.default_rng(1)
    right = rng.normal(size=(SAMPLES, 6)).astype(np.float32)
    left = right.copy()
    left[:, list(MIRRORED)] *= -1
    signals = Signals([Recording(1, "right", 0, right), Recording(1, "left", 0, left)], [0, 1])
    one, other = signals.read([Window(0, 0, 0), Window(1, 0, 0)])
    assert torch.equal(one, other)


def test_a_knock_changes_its_samples_of_its_channel_and_nothing_else(made_up: tuple[Recording, ...]) -> None:
    signals = Signals(made_up, range(len(made_up)))
    plain = Window(3, 50, 1)
    changed = signals.read([replace(plain, knock=7)])[0] - signals.read([plain])[0]
    expected = torch.zeros(6, SAMPLES)
    expected[KNOCKED_CHANNEL, 7 : 7 + len(KNOCK)] = torch.tensor(KNOCK)
    torch.testing.assert_close(changed, expected, rtol=0, atol=1e-5)
    assert torch.equal(signals.read([plain]), signals.read([plain]))


def test_nothing_to_standardise_by_is_said(made_up: tuple[Recording, ...]) -> None:
    with pytest.raises(ValueError, match="standardise"):
        Signals(made_up, [])
