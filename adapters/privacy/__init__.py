"""What a grant asks of a device, or a round of its aggregator, so that a model learns little of anybody.

`clip_and_noise` and `terms_of` need NumPy alone; torch tensors are taken where torch is installed.
"""

from adapters.noising import terms_of
from adapters.privacy.clipping import clip_and_noise
from adapters.privacy.drawing import drawn
from adapters.privacy.files import noised_file
from adapters.privacy.noise import Noise
from adapters.privacy.summing import noised_mean

__all__ = ["Noise", "clip_and_noise", "drawn", "noised_file", "noised_mean", "terms_of"]
