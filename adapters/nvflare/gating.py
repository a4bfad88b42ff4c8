"""The end of a round: what came from sites becomes submissions, and what was accepted becomes results again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.fl_constant import FLContextKey, FLMetaKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.utils.fl_model_utils import FLModelUtils
from torch import Tensor

from adapters.admission import DECLINED, STAGE
from adapters.credentials import Credentials
from adapters.guard import Gated, Ruling, Submission
from adapters.nvflare.point import GuardPoint, OpenRound
from adapters.nvflare.questions import asking, carried
from adapters.nvflare.weights import claimed, common_metrics, read_trusted, read_untrusted, update_of, write


@dataclass(frozen=True)
class Arrived:
    """A site's result as it came; nothing in it is believed.

    Attributes:
        client_task: NVFLARE's, which knows from whom it came.
        fl_ctx: under which it came.
        result: what came.
    """

    client_task: ClientTask
    fl_ctx: FLContext
    result: Shareable


@dataclass(frozen=True)
class Read:
    """A result whose form is known; nothing in it is believed.

    Attributes:
        kind: ``WEIGHTS`` or ``WEIGHT_DIFF``.
        params: by name.
        meta: what came beside them.
    """

    kind: str
    params: Mapping[str, object]
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Ruled:
    """The end of a round.

    Attributes:
        gated: the rulings, in the order of the submissions.
        by_site: the same; two sites may have one subject, of which one counts.
    """

    gated: Gated
    by_site: Mapping[str, Ruling]


def gate(point: GuardPoint, fl_ctx: FLContext, opened: OpenRound, arrived: Mapping[str, Arrived]) -> Ruled:
    """Return the rulings on a round's results; what is no submission is dropped."""
    guard, round_id = point.guard, opened.sealed.terms.round_id
    found: dict[str, Read] = {}
    for site, subject in opened.subjects.items():
        read = read_result(arrived[site].result) if site in arrived else "absent"
        if isinstance(read, str):
            guard.drop("gate", read, subject=subject, round_id=round_id)
        else:
            found[site] = read
    shown = {site: _credentials(read.meta) for site, read in found.items()}
    shown.update(_renewed(point, fl_ctx, opened, shown))
    submissions = [
        Submission(
            subject=opened.subjects[site],
            update=_update(read, opened),
            examples=claimed(read.meta, FLMetaKey.NUM_STEPS_CURRENT_ROUND),
            credentials=shown[site],
        )
        for site, read in found.items()
    ]
    reference = point.reference() if submissions else None
    gated = guard.gate(opened.sealed, submissions, reference=reference)
    return Ruled(gated, dict(zip(found, gated.rulings, strict=True)))


def replies(
    opened: OpenRound, ruled: Ruled, arrived: Mapping[str, Arrived], together: Mapping[str, Tensor] | None
) -> Iterator[Arrived]:
    """Give the accepted results, each made anew of what was ruled: weights, finite metrics, its weight, no more.

    Args:
        opened: the round.
        ruled: its rulings.
        arrived: what came, by site.
        together: what the updates became, which takes the place of each where policy picks another way than the mean.
    """
    accepted = [(site, ruling) for site, ruling in ruled.by_site.items() if ruling.accepted]
    read = [read_result(arrived[site].result) for site, _ in accepted]
    metrics = common_metrics([one.meta.get(FLMetaKey.INITIAL_METRICS) for one in read if isinstance(one, Read)])
    is_mean = opened.sealed.aggregation == "mean"
    for (site, ruling), one, own in zip(accepted, read, metrics, strict=True):
        if isinstance(one, Read):
            yield _again(arrived[site], opened, ruling, one.kind, own, None if is_mean else together)


def _again(
    arrived: Arrived,
    opened: OpenRound,
    ruling: Ruling,
    kind: str,
    metrics: Mapping[str, float],
    together: Mapping[str, Tensor] | None,
) -> Arrived:
    received, own = read_trusted(opened.sent), ruling.update or {}
    trained = {name: received[name] + tensor for name, tensor in own.items()}
    if together is not None:
        trained = {name: together[name] for name in own}
    if kind == DataKind.WEIGHT_DIFF:
        steps = {name: tensor - received[name] for name, tensor in trained.items()} if together is not None else own
        params = write({name: opened.sent[name] for name in own}, steps)
    else:
        params = write(opened.sent, trained)
    number = _number(arrived)
    model = FLModel(
        params_type=ParamsType.DIFF if kind == DataKind.WEIGHT_DIFF else ParamsType.FULL,
        params=params,
        metrics=dict(metrics) or None,
        current_round=number,
        meta={FLMetaKey.NUM_STEPS_CURRENT_ROUND: ruling.weight},
    )
    result = FLModelUtils.to_shareable(model)
    result.add_cookie(AppConstants.CONTRIBUTION_ROUND, number)
    arrived.client_task.result = result
    peer = arrived.fl_ctx.get_peer_context()
    if isinstance(peer, FLContext):
        # Selectors of the best model read metrics there.
        peer.set_prop(FLContextKey.SHAREABLE, result, private=True, sticky=True)
    return replace(arrived, result=result)


def _renewed(
    point: GuardPoint, fl_ctx: FLContext, opened: OpenRound, shown: Mapping[str, Credentials | None]
) -> dict[str, Credentials]:
    """Ask sites once more whose credentials ran out while others trained."""
    stale = [site for site, one in shown.items() if one is not None and point.guard.is_stale(one)]
    question = {STAGE: "submit", **opened.sealed.terms.to_dict()}
    answers = asking(fl_ctx, point.query_seconds)(stale, question) if stale else {}
    renewed = {site: _read_credentials(answer or {}) for site, answer in answers.items()}
    return {site: one for site, one in renewed.items() if one is not None}


def read_result(result: object) -> Read | str:
    """Return a result that has the form of an update, or why it is none, in a word."""
    try:
        if not isinstance(result, Shareable) or result.get_return_code() != ReturnCode.OK:
            is_declined = isinstance(result, Shareable) and DECLINED in carried(result)
            return "declined" if is_declined else "failed"
        found = from_shareable(result)
    except Exception:  # noqa: BLE001 - whatever a site sends, the outcome is a dropped result
        return "malformed"
    if found.data_kind not in (DataKind.WEIGHTS, DataKind.WEIGHT_DIFF) or not isinstance(found.meta, dict):
        return "malformed"
    return Read(DataKind(found.data_kind).value, read_untrusted(found.data), found.meta)


def _update(read: Read, opened: OpenRound) -> dict[str, object]:
    received = read_trusted(opened.sent)
    return update_of(read.kind, read.params, {name: received[name] for name in opened.sealed.manifest.tensors})


def _number(arrived: Arrived) -> int:
    found = arrived.client_task.task.data.get_header(AppConstants.CURRENT_ROUND, 0)
    return found if isinstance(found, int) else 0


def _credentials(meta: Mapping[str, Any]) -> Credentials | None:
    return _read_credentials(carried(meta))


def _read_credentials(ours: Mapping[str, Any]) -> Credentials | None:
    try:
        return Credentials.from_dict(ours)
    except ValueError:
        return None
