"""The guard of an NVFLARE job, as a component of its server."""

import json
import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import EventScope, FLContextKey
from nvflare.apis.fl_context import FLContext
from torch import Tensor

from adapters.admission import Admission
from adapters.guard import Guard, SealedRound
from adapters.nvflare.folders import own_folder
from adapters.nvflare.questions import asking
from adapters.nvflare.sturdy import keep_running
from adapters.nvflare.weights import Parameters, read_trusted

_GATING_SECONDS = 60.0
"""A round stays open for as long as updates are screened and reported after the last one came."""

REPORT = "ztfm.json"
"""Name of the file in the job's run folder that says what became of each round."""

_log = logging.getLogger("ztfm.guard")


@runtime_checkable
class TrustedData(Protocol):
    """A component of the server that trains on data which the server trusts."""

    def reference(self, round_number: int, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Return the update that trusted data yields from a round's weights, or none to compare updates alone.

        It is asked in a thread of its own, while sites train.
        """
        ...


@dataclass(frozen=True)
class OpenRound:
    """A sealed round and the sites that were let in.

    Attributes:
        sealed: the round.
        sent: the weights, as they are sent.
        subjects: by the site's name, whose pull held.
    """

    sealed: SealedRound
    sent: Parameters
    subjects: Mapping[str, str]


class GuardPoint(FLComponent):  # type: ignore[misc] # nvflare is read without its types
    """The job's enforcement point. Name it ``guard`` among the server's components.

    It opens when the run starts and closes when it ends, and leaves ``ztfm.json`` in the job's run folder.

    Args:
        audience: the name of this enforcement point; capabilities must be for it.
        model: the model's identifier in ``policies/data``.
        folder: of the enrolled aggregator: its key and identity. ``{site}`` is the server's name; relative to its
            workspace.
        members: site -> subject that may stand behind it; none for whoever proves an enrolled key.
        archive: folder that keeps the updates of rounds, so that some can be undone; none keeps nothing.
        reference_id: component that has a `TrustedData.reference`; none compares updates with one another, which needs
            at least four.
        duration_seconds: how long sites have to train; nobody waits longer for one that does not answer.
        query_seconds: how long sites have to answer a question.
        patience_seconds: how long to go on asking a control plane that cannot answer.
        segment: from which devices are taken; none for any.
    """

    def __init__(
        self,
        audience: str,
        model: str,
        folder: str = "local/identity",
        members: dict[str, str] | None = None,
        archive: str | None = None,
        reference_id: str | None = None,
        duration_seconds: float = 600.0,
        query_seconds: float = 60.0,
        patience_seconds: float = 10.0,
        segment: str | None = None,
    ) -> None:
        super().__init__()
        self.audience = audience
        self.model = model
        self.folder = folder
        self.members = members
        self.archive = archive
        self.reference_id = reference_id
        self.duration_seconds = duration_seconds
        self.query_seconds = query_seconds
        self.patience_seconds = patience_seconds
        self.segment = segment
        self._guard: Guard | None = None
        self._admission: Admission[str] | None = None
        self._standing: OpenRound | None = None
        self._reference: TrustedData | None = None
        self._yielded: Future[Mapping[str, Tensor] | None] | None = None
        self._unreleased: deque[str] = deque()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Open with the run and close with it; what a site sends as an event is passed over."""
        if fl_ctx.get_prop(FLContextKey.EVENT_SCOPE) == EventScope.FEDERATION:
            return
        if event_type == EventType.START_RUN:
            self._open(fl_ctx)
        elif event_type == EventType.END_RUN:
            self._close(fl_ctx)

    @property
    def guard(self) -> Guard:
        """The guard of the running job.

        Raises:
            RuntimeError: it could not be opened; the log of the run's start says why.
        """
        if self._guard is None:
            raise RuntimeError(
                "the guard is not open, and without it no weights leave: see the log of the run's start, and enrol the "
                f"aggregator in {self.folder!r} of the server's workspace"
            )
        return self._guard

    def admit(
        self, fl_ctx: FLContext, sites: list[str], sent: Parameters, task: str, round_number: int
    ) -> OpenRound | None:
        """Return the round in which ``sent`` may go to some of ``sites``, or none; it stands until it is ended.

        What trusted data yields is trained from now on, beside the sites.

        Raises:
            ControlPlaneError: this side is not allowed to open rounds, or asks wrongly.
            ValueError: there is no weight that can be guarded.
            RuntimeError: the guard is not open.
        """
        if self._admission is None:
            open_seconds = self.duration_seconds + 2 * self.query_seconds + _GATING_SECONDS
            self._admission = Admission[str](self.guard, open_seconds, self.members)
        found = self._admission.open(
            asking(fl_ctx, self.query_seconds), sites, read_trusted(sent), f"{task}-{round_number}"
        )
        self._standing = None if found is None else OpenRound(found.sealed, sent, found.subjects)
        trusted = self._reference
        self._yielded = None
        if trusted is not None and found is not None and found.subjects:
            pool = ThreadPoolExecutor(1, "reference")
            self._yielded = pool.submit(trusted.reference, round_number, read_trusted(sent))
            pool.shutdown(wait=False)
        return self._standing

    def end(self) -> None:
        """No weights leave any more for the round that stood."""
        self._standing = None
        while self._unreleased:
            self.guard.drop("pull", "not_invited", round_id=self._unreleased.popleft())

    def withhold(self, round_id: str) -> None:
        """Weights of a round do not leave, as one of NVFLARE's threads found: it is counted when the round ends."""
        self._unreleased.append(round_id)

    def may_receive(self, site: str, round_id: str) -> bool:
        """Whether a site's pull held in the round that stands."""
        standing = self._standing
        return standing is not None and standing.sealed.terms.round_id == round_id and site in standing.subjects

    def reference(self) -> Mapping[str, Tensor] | None:
        """Return the update that trusted data yielded from the weights that were sent last, or none."""
        yielded, self._yielded = self._yielded, None
        return None if yielded is None else yielded.result()

    def _open(self, fl_ctx: FLContext) -> None:
        if self.reference_id is not None:
            found = fl_ctx.get_engine().get_component(self.reference_id)
            if not isinstance(found, TrustedData):
                raise TypeError(f"the component {self.reference_id!r} has no method `reference(round_number, weights)`")
            self._reference = found
        archive = None if self.archive is None else own_folder(self.archive, fl_ctx)
        self._guard = Guard.open(
            own_folder(self.folder, fl_ctx),
            audience=self.audience,
            model=self.model,
            archive=archive,
            patience_seconds=self.patience_seconds,
            segment=self.segment,
            members=None if self.members is None else set(self.members.values()),
        )
        keep_running(fl_ctx.get_prop(FLContextKey.RUNNER), self._attempted)

    def _attempted(self, event_type: str) -> None:
        _log.warning("a site sent the event %s, which would end the job for all: it is passed over", event_type)

    def _close(self, fl_ctx: FLContext) -> None:
        if self._guard is None:
            return
        self.end()
        guard, self._guard = self._guard, None
        guard.close()
        place = Path(fl_ctx.get_workspace().get_run_dir(fl_ctx.get_job_id())) / REPORT
        place.write_text(json.dumps(self.report_of(guard), indent=2) + "\n")

    def report_of(self, guard: Guard) -> dict[str, Any]:
        """Return what is left in the job's run folder: what became of each round, and all that was left out."""
        return guard.report.summary()
