"""What the mod does for the site of a Flower node: keep its update to the site's limits, and tell it. Needs Flower."""

from flwr.app import ArrayRecord, Message, RecordDict
from torch import Tensor

from adapters.credentials import RoundTerms
from adapters.flower.records import claimed_examples, only_arrays, read_untrusted, write_arrays
from adapters.guard.rounds import Weights, difference
from adapters.member import Member
from adapters.screening import update_digest
from adapters.site.measuring import norm_of, within

EXAMPLES = "num-examples"
"""The metric by which an app says on how many examples it trained; Flower's own name for it."""

EPSILON = "epsilon"
"""The metric by which an app says what its update spends of the privacy budget; a site's policy may ask for it."""


def lower(member: Member, terms: RoundTerms, reply: Message, sent: ArrayRecord, received: Weights) -> dict[str, str]:
    """Scale a reply's update back to the norm that the node's site lets out, and tell the site what it is then.

    Args:
        member: of a site.
        terms: of the round.
        reply: the app's, with one ArrayRecord.
        sent: the arrays that the node was sent.
        received: the same as weights.

    Returns:
        Nothing that is to be said to the server.

    Raises:
        Vetoed: the site does not let the round's model in any more, or cannot keep what it is told.
        ValueError: the reply has not one ArrayRecord.
    """
    trained = only_arrays(reply.content)
    if trained is None:
        raise ValueError("a reply has one ArrayRecord")
    update = difference(read_untrusted(trained, sent), received.tensors)
    kept = within(update, member.allowance(terms))
    if kept is not update:
        moved = {
            name: received.tensors[name].cpu() + value
            for name, value in kept.items()
            if isinstance(value, Tensor) and name in received.tensors
        }
        reply.content = with_arrays(reply.content, write_arrays(trained, moved))
        update = difference(read_untrusted(only_arrays(reply.content), sent), received.tensors)
    digest = update_digest(update, received.manifest)
    examples, epsilon = claimed_examples(reply.content, EXAMPLES), _claimed_epsilon(reply.content)
    member.describe(digest, norm=norm_of(update), examples=examples, epsilon=epsilon)
    return {}


def with_arrays(content: RecordDict, arrays: ArrayRecord) -> RecordDict:
    """Return what a reply holds, with other arrays."""
    return RecordDict({name: arrays if isinstance(record, ArrayRecord) else record for name, record in content.items()})


def _claimed_epsilon(content: RecordDict) -> float | None:
    """Return what an app says that its update spends; none where it says nothing that could be it."""
    found = [record[EPSILON] for record in content.metric_records.values() if EPSILON in record]
    value = found[0] if len(found) == 1 else None
    return float(value) if isinstance(value, int | float) and 0.0 <= value <= 1e6 else None
