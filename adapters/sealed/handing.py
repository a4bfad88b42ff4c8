"""Hand out of sealed weights what a capability names, and nothing more; nothing is opened for that."""

from collections.abc import Iterator

from adapters.sealed.opening import SealedWeights
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.shards import Preamble
from controlplane.contracts.capability import Constraints

SEALED_WEIGHTS = "application/vnd.ztfm.sealed-weights"
"""The media type of sealed weights."""

_PIECE_BYTES = 1024 * 1024


def chosen(sealed: SealedWeights, limits: Constraints) -> Preamble:
    """Return what is before the shards that a capability lets its holder have.

    Args:
        sealed: the weights.
        limits: of the capability, which was verified.

    Raises:
        SealRefused: it names no shard that is here.
    """
    if limits.shards is None:
        return sealed.preamble
    named = [name for name in limits.shards if name in sealed.preamble.present]
    if not named:
        raise SealRefused("the capability names no shard that is here: none of the subject's roles may have one")
    return sealed.preamble.only(named)


def pieces(sealed: SealedWeights, chosen: Preamble) -> Iterator[bytes]:
    """Give the file that has the chosen shards alone; it is as long as `Preamble.total` says.

    Args:
        sealed: the weights, open until the last piece is taken.
        chosen: what comes before the shards.
    """
    yield chosen.to_bytes()
    places = sealed.preamble.places()
    for name in chosen.places():
        start, size = places[name].start, places[name].size
        for at in range(start, start + size, _PIECE_BYTES):
            yield bytes(sealed.raw[at : min(at + _PIECE_BYTES, start + size)])
