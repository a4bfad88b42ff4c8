"""The mod that makes a Flower node a member: it answers questions and adds credentials to what the app sends."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod

from adapters.credentials import RoundTerms
from adapters.errors import ControlPlaneError
from adapters.flower.noising import noise_reply
from adapters.flower.questions import DECLINED, declined, stage_of
from adapters.flower.records import (
    RECORD,
    carried,
    only_arrays,
    read_trusted,
    read_untrusted,
    with_ours,
    without_ours,
)
from adapters.flower.siting import lower
from adapters.guard.rounds import Weights, difference
from adapters.member import Member
from adapters.noising import MakeNoise
from adapters.screening import update_digest
from controlplane.contracts.privacy import PrivacyTerms

_log = logging.getLogger("ztfm.member")


def guard_mod(member_of: Callable[[Context], Member]) -> Mod:
    """Return the mod. Name it first among an app's mods: it must see what is really sent.

    Args:
        member_of: returns the member that a node is; called for each message, closed after it.
    """

    def mod(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        ours = carried(message.content)
        stage = stage_of(ours)
        if not stage:
            _log.warning("a message that belongs to no sealed round is not passed on: is the strategy guarded?")
            return _answer(message, declined("unguarded"))
        with member_of(context) as member:
            if stage == "evaluate":
                return _evaluate(member, message, context, call_next)
            if stage == "train":
                return _train(member, message, context, call_next)
            return _answer(message, _attempt(member, lambda: _shown(member, stage, ours, context)))

    return mod


def _shown(member: Member, stage: str, ours: Mapping[str, Any], context: Context) -> dict[str, str]:
    if stage == "identify":
        return member.introduce(str(ours.get("audience"))).to_dict()
    terms = RoundTerms.from_dict(ours)
    if stage == "pull":
        return member.pull(terms).to_dict()
    digest, noised = _recall(context, terms)
    return member.submit_again(terms, digest, noised).to_dict()


def _evaluate(member: Member, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    # Its weights were let out against a pull, as all are; nothing of it enters the model.
    if member.site is not None:
        sent = only_arrays(message.content)
        if sent is None or not member.was_let_in(Weights.of(read_trusted(sent)).digest):
            return _answer(message, declined("vetoed"))
    return _passed(message, context, call_next)


def _train(member: Member, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    ours, sent = carried(message.content), only_arrays(message.content)
    received = None if sent is None else Weights.of(read_trusted(sent))
    if sent is None or received is None or received.digest != ours.get("model_digest"):
        return _answer(message, declined("wrong_digest"))
    if not member.was_let_in(received.digest):
        return _answer(message, declined("vetoed"))
    reply = _passed(message, context, call_next)
    trained = only_arrays(reply.content) if reply.has_content() else None
    if trained is None:
        return reply
    if member.site is not None:
        refused = _attempt(member, lambda: lower(member, RoundTerms.from_dict(ours), reply, sent, received))
        if DECLINED in refused:
            return _answer(message, refused)
        trained = only_arrays(reply.content)
    update = difference(read_untrusted(trained, sent), received.tensors, is_ours=True)
    digest = update_digest(update, received.manifest)
    shown = _attempt(
        member,
        lambda: _submitted(member, ours, digest, context, lambda terms: noise_reply(reply, sent, received, terms)),
    )
    if DECLINED in shown:
        return _answer(message, shown)
    reply.content = with_ours(reply.content, shown)
    return reply


def _submitted(
    member: Member, ours: Mapping[str, Any], digest: str, context: Context, noise: MakeNoise
) -> dict[str, str]:
    terms, noised = RoundTerms.from_dict(ours), ""

    def noise_it(asked: PrivacyTerms) -> str:
        nonlocal digest, noised
        digest, noised = noise(asked), asked.model_dump_json()
        return digest

    shown = member.release(terms, digest, noise_it).to_dict()
    # The slowest node may take longer than credentials hold: what was sent is remembered, to be proven once more.
    context.state[RECORD] = ConfigRecord({"round_id": terms.round_id, "digest": digest, "noised": noised})
    return shown


def _recall(context: Context, terms: RoundTerms) -> tuple[str, PrivacyTerms | None]:
    found = context.state.get(RECORD, {})
    if found.get("round_id") != terms.round_id:
        raise ValueError("nothing was sent to this round")
    noised = str(found.get("noised", ""))
    return str(found["digest"]), PrivacyTerms.model_validate_json(noised) if noised else None


def _attempt(member: Member, work: Callable[[], dict[str, str]]) -> dict[str, str]:
    try:
        return work()
    except ControlPlaneError as error:
        _log.warning("%s is left out: %s", member.id, error)
        return declined(type(error).__name__.lower())
    except ValueError as error:
        _log.warning("%s declines: %s", member.id, error)
        return declined("malformed")


def _passed(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    message.content = without_ours(message.content)
    return call_next(message, context)


def _answer(message: Message, ours: Mapping[str, str]) -> Message:
    return Message(with_ours(RecordDict(), ours), reply_to=message)
