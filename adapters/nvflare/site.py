"""The client's side: a filter that answers the server's questions and adds credentials to what a site sends."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FilterKey, FLContextKey, FLMetaKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey
from nvflare.fuel.f3.cellnet.defs import ReturnCode as CellReturnCode
from nvflare.fuel.f3.cellnet.fqcn import FQCN
from nvflare.fuel.f3.cellnet.utils import make_reply as make_cellnet_reply
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellChannel, new_cell_message

from adapters.admission import DECLINED, STAGE, declined
from adapters.credentials import RoundTerms
from adapters.errors import ControlPlaneError
from adapters.guard.rounds import Weights
from adapters.member import Member
from adapters.nvflare.folders import own_folder
from adapters.nvflare.questions import CARRIED, TOPIC, carried, message
from adapters.nvflare.weights import claimed, read_trusted, read_untrusted, update_of
from adapters.screening import update_digest
from adapters.site.measuring import describe

_log = logging.getLogger("ztfm.member")


@dataclass
class _Task:
    """What a site was given to train on, until it answered."""

    ours: Mapping[str, Any]
    received: Weights | None


@dataclass
class _Sent:
    """What was sent last: a slow site's credentials may run out before the round is over."""

    round_id: str = ""
    digest: str = ""


@dataclass
class _State:
    tasks: dict[str, _Task] = field(default_factory=dict)
    sent: _Sent = field(default_factory=_Sent)


class MemberFilter(Filter):  # type: ignore[misc] # nvflare is read without its types
    """Makes a site a member. Name it last among the client's task result filters: it must see what is really sent.

    It is advice to a site that wants to take part: what counts is verified at the server.

    Args:
        folder: of the enrolled device: its key and identity. ``{site}`` is the site's name; relative to its workspace.
    """

    def __init__(self, folder: str = "local/identity") -> None:
        super().__init__()
        self.folder = folder
        self._state = _State()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Listen for questions while a job runs, and keep what a task brings: training may change it in place."""
        if event_type == EventType.START_RUN:
            engine = fl_ctx.get_engine()
            # NVFLARE's own way of listening does not tell who asked.
            engine.get_cell().register_request_cb(
                channel=CellChannel.AUX_COMMUNICATION, topic=TOPIC, cb=partial(self._answer, engine)
            )
        elif event_type == EventType.BEFORE_TASK_EXECUTION:
            task = fl_ctx.get_prop(FLContextKey.TASK_ID)
            self._state.tasks = {str(task): _taken(fl_ctx.get_prop(FLContextKey.TASK_DATA))}

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Return a result with credentials to submit it, or that the site declines, without the result."""
        if fl_ctx.get_prop(FLContextKey.FILTER_DIRECTION) == FilterKey.IN:
            return shareable
        task = self._state.tasks.pop(str(fl_ctx.get_prop(FLContextKey.TASK_ID)), None)
        if shareable.get_return_code() != ReturnCode.OK:
            return shareable
        if task is None or not task.ours:
            _log.warning("a result that belongs to no sealed round is not sent: is the controller guarded?")
            return _declining("unguarded")
        if task.received is None or task.received.digest != task.ours.get("model_digest"):
            return _declining("wrong_digest")
        try:
            found = from_shareable(shareable)
        except ValueError:
            return _declining("malformed")
        shown = self._attempt(fl_ctx, lambda member: self._submitted(member, task, found))
        if DECLINED in shown:
            return _declining(shown[DECLINED])
        found.set_meta_prop(CARRIED, shown)
        return found.update_shareable(shareable)

    def member_of(self, fl_ctx: FLContext) -> Member:
        """Return the device that this site is; it is closed after each use.

        Raises:
            FileNotFoundError: none was enrolled in the folder.
            KeyFileError: its key or identity cannot be used.
        """
        return Member.open(own_folder(self.folder, fl_ctx))

    def _answer(self, engine: Any, request: Message) -> Message:
        """Answer the server; whoever else asks would give the answer for its own."""
        origin = request.get_header(MessageHeaderKey.ORIGIN)
        if not isinstance(origin, str) or FQCN.get_root(origin) != FQCN.ROOT_SERVER:
            _log.warning("%s asked, and is not the server: it gets no answer", origin)
            return make_cellnet_reply(CellReturnCode.UNAUTHENTICATED)
        ours = carried(request.payload)
        with engine.new_context() as fl_ctx:
            reply = new_cell_message({}, message(self._attempt(fl_ctx, lambda member: self._shown(member, ours))))
        reply.set_header(MessageHeaderKey.RETURN_CODE, CellReturnCode.OK)
        return reply

    def _shown(self, member: Member, ours: Mapping[str, Any]) -> dict[str, str]:
        stage = ours.get(STAGE)
        if stage == "identify":
            return member.introduce(str(ours.get("audience"))).to_dict()
        terms = RoundTerms.from_dict(ours)
        if stage == "pull":
            return member.pull(terms).to_dict()
        if stage != "submit" or self._state.sent.round_id != terms.round_id:
            raise ValueError("nothing was sent to this round")
        return member.submit(terms, self._state.sent.digest).to_dict()

    def _submitted(self, member: Member, task: _Task, result: DXO) -> dict[str, str]:
        terms = RoundTerms.from_dict(task.ours)
        if task.received is None:
            raise ValueError("the task brought no weights")
        if not member.was_let_in(task.received.digest):
            return declined("vetoed")
        update = update_of(result.data_kind, read_untrusted(result.data), task.received.tensors)
        digest = update_digest(update, task.received.manifest)
        self._state.sent = _Sent(terms.round_id, digest)
        describe(member, update, claimed(result.meta, FLMetaKey.NUM_STEPS_CURRENT_ROUND))
        return member.submit(terms, digest).to_dict()

    def _attempt(self, fl_ctx: FLContext, work: Callable[[Member], dict[str, str]]) -> dict[str, str]:
        try:
            with self.member_of(fl_ctx) as member:
                return work(member)
        except ControlPlaneError as error:
            _log.warning("%s is left out: %s", fl_ctx.get_identity_name(), error)
            return declined(type(error).__name__.lower())
        except (ValueError, OSError) as error:
            _log.warning("%s declines: %s", fl_ctx.get_identity_name(), error)
            return declined("malformed")


def _taken(task_data: object) -> _Task:
    try:
        found = from_shareable(task_data)
        tensors = {name: tensor.clone() for name, tensor in read_trusted(found.data).items()}
        return _Task(carried(found.meta), Weights.of(tensors))
    except (ValueError, TypeError, AttributeError) as error:
        _log.warning("a task brought no weights that can be read: %s", error)
        return _Task({}, None)


def _declining(cause: str) -> Shareable:
    reply = make_reply(ReturnCode.EMPTY_RESULT)
    reply[CARRIED] = declined(cause)
    return reply
