"""What the mod does where policy asks a Flower node for noise: the app's reply bears it before anything is signed."""

from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from torch import Tensor

from adapters.flower.records import only_arrays, read_untrusted, write_arrays
from adapters.flower.siting import EXAMPLES
from adapters.guard.rounds import Weights, difference
from adapters.privacy import clip_and_noise
from adapters.screening import update_digest
from controlplane.contracts.privacy import PrivacyTerms


def noise_reply(reply: Message, sent: ArrayRecord, received: Weights, terms: PrivacyTerms) -> str:
    """Clip and noise the update that a reply holds, and return the digest of what is sent then.

    What the server sees is the weights that it sent itself, with the noised update added: adding them rounds once more,
    and tells nothing. Whatever else a reply holds was made from the node's data without noise: counters stay as they
    were sent, each node claims one example, and other metrics and records are left out.

    Args:
        reply: the app's, with one ArrayRecord; all that it holds is replaced.
        sent: the arrays that the node was sent.
        received: the same as weights.
        terms: of the capability.

    Raises:
        ValueError: the update cannot be clipped, or is none.
    """
    trained = only_arrays(reply.content)
    if trained is None:
        raise ValueError("a reply has one ArrayRecord")
    update = difference(read_untrusted(trained, sent), received.tensors)
    noised = clip_and_noise(update, terms)
    moved = {
        name: received.tensors[name].cpu() + value
        for name, value in noised.items()
        if isinstance(value, Tensor) and name in received.tensors
    }
    reply.content = _without_more(reply.content, write_arrays(sent, moved))
    arrays = only_arrays(reply.content)
    if arrays is None:
        raise ValueError("a reply has one ArrayRecord")
    return update_digest(difference(read_untrusted(arrays, sent), received.tensors), received.manifest)


def _without_more(content: RecordDict, arrays: ArrayRecord) -> RecordDict:
    kept: dict[str, ArrayRecord | MetricRecord] = {}
    for name, record in content.items():
        if isinstance(record, ArrayRecord):
            kept[name] = arrays
        elif isinstance(record, MetricRecord) and EXAMPLES in record:
            kept[name] = MetricRecord({EXAMPLES: 1})
    return RecordDict(dict(kept))
