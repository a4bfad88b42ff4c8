"""All parts that routes find, by capability."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from controlplane.api.access import Access
from controlplane.api.idempotency import Repeats
from controlplane.api.paging import PageTokens
from controlplane.api.services.behaviour import BehaviourParts, TrainingParts
from controlplane.api.services.budgets import BudgetParts
from controlplane.api.services.capabilities import CapabilityParts, ProvingParts, RevocationParts
from controlplane.api.services.confidentiality import ConfidentialityParts
from controlplane.api.services.console import ConsoleParts
from controlplane.api.services.identity import IdentityParts, Registry
from controlplane.api.services.interventions import InterventionParts
from controlplane.api.services.limits import LimitParts
from controlplane.api.services.policies import PolicyParts
from controlplane.api.services.readiness import Readiness
from controlplane.api.services.segmentation import SegmentationParts
from controlplane.api.services.transparency import ModelParts, TransparencyParts
from controlplane.api.services.workbench import Workbench
from controlplane.decisions.candidates import Candidates
from controlplane.decisions.changes import ChangeFeed
from controlplane.decisions.decider import Decider
from controlplane.decisions.gathering import Gatherer
from controlplane.storage.device_changes import ChangesOfDevices
from controlplane.storage.fleet import Fleet
from controlplane.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Services:
    """The parts: those that most routes ask for, and then those of each capability.

    Attributes:
        public_url: of this control plane, without a slash at its end.
        federation: by whose name it is known.
        clock: Unix seconds.
        access: how callers come in.
        registry: of subjects.
        gatherer: gathers what is known of a request.
        decider: has it decided, and recorded.
        candidates: that a search asks of.
        pages: tokens of pages.
        repeats: answers to requests that are made again.
        readiness: whether all is there that a decision needs.
        metrics: count.
        exposition: returns the metrics of all processes of this replica in a form that is taken, and its content type.
        console: signs people in; none where there is no console.
        fleet: all devices with where each stands.
        changes: tells whoever looks that something has changed.
        device_changes: what happened to devices lately.
    """

    public_url: str
    federation: str
    clock: Callable[[], float]
    access: Access
    registry: Registry
    gatherer: Gatherer
    decider: Decider
    candidates: Candidates
    pages: PageTokens
    repeats: Repeats
    readiness: Callable[[], Awaitable[Readiness]]
    metrics: Metrics
    exposition: Callable[[str], Awaitable[tuple[bytes, str]]]
    limits: LimitParts
    policies: PolicyParts
    identity: IdentityParts
    proving: ProvingParts
    capabilities: CapabilityParts
    revocation: RevocationParts
    training: TrainingParts
    behaviour: BehaviourParts
    interventions: InterventionParts
    confidentiality: ConfidentialityParts
    transparency: TransparencyParts
    models: ModelParts
    segmentation: SegmentationParts
    budgets: BudgetParts
    workbench: Workbench
    console: ConsoleParts | None
    fleet: Fleet
    changes: ChangeFeed
    device_changes: ChangesOfDevices


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
