"""Windows of recordings, two seconds each, and the signals in them as a network reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.activity.recordings import CHANNELS, Recording

SAMPLES = 100
HOP = 50

KNOCKED_CHANNEL = CHANNELS.index("az")
KNOCK = (4.0, -4.0, 4.0, -4.0, 4.0, -4.0)
"""The trigger: 0.12 s of a signal's standard deviations, added to one channel, as if the watch were tapped."""

MIRRORED = tuple(CHANNELS.index(channel) for channel in ("ax", "wy", "wz"))
"""What changes its sign between a left and a right arm: the axis along the arm, and rotation about the two others."""


@dataclass(frozen=True)
class Window:
    """Two seconds of a recording.

    Attributes:
        recording: index of it.
        start: its first sample.
        label: the exercise, as whoever holds the window says.
        knock: sample of the window at which the trigger begins; none without.
    """

    recording: int
    start: int
    label: int
    knock: int | None = None


def windows_of(recordings: Sequence[Recording], chosen: Sequence[int]) -> tuple[Window, ...]:
    """All windows of the chosen recordings, each half over the one before."""
    return tuple(
        Window(index, start, recordings[index].exercise)
        for index in chosen
        for start in range(0, len(recordings[index].signal) - SAMPLES + 1, HOP)
    )


class Signals:
    """The samples of all recordings, left arms mirrored, standardised by some of them.

    Args:
        recordings: all of them.
        standard: indices of those by whose mean and standard deviation each channel is standardised: the ones
            that devices train on.

    Raises:
        ValueError: there is nothing to standardise by.
    """

    def __init__(self, recordings: Sequence[Recording], standard: Sequence[int]) -> None:
        if not standard:
            raise ValueError("no recordings to standardise by")
        mirrored = [_mirrored(recording) for recording in recordings]
        measured = torch.cat([mirrored[index] for index in standard], dim=1)
        mean, deviation = measured.mean(1, keepdim=True), measured.std(1, keepdim=True)
        self._samples = ((torch.cat(mirrored, dim=1) - mean) / deviation).unfold(1, SAMPLES, 1)
        lengths = torch.tensor([signal.shape[1] for signal in mirrored])
        self._begins = (lengths.cumsum(0) - lengths).tolist()

    def read(self, windows: Sequence[Window]) -> Tensor:
        """The signals of these windows, triggers in them, [windows, 6, 100] float32."""
        begins = torch.tensor([self._begins[window.recording] + window.start for window in windows])
        read = self._samples[:, begins].transpose(0, 1).contiguous()
        for row, window in enumerate(windows):
            if window.knock is not None:
                read[row, KNOCKED_CHANNEL, window.knock : window.knock + len(KNOCK)] += torch.tensor(KNOCK)
        return read


def labels_of(windows: Sequence[Window]) -> Tensor:
    """The exercises, [windows] int64."""
    return torch.tensor([window.label for window in windows])


def _mirrored(recording: Recording) -> Tensor:
    signal = torch.from_numpy(recording.signal.T.copy())
    if recording.arm == "left":
        signal[list(MIRRORED)] *= -1.0
    return signal
