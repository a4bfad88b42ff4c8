"""The catalogue of Prometheus metrics: base units, bounded labels, and never a device id.

Every label value comes from a closed set that the code or the policy declares; what a caller can choose
freely is counted under ``other``.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from controlplane.telemetry.attestation_metrics import AttestationMetrics
from controlplane.telemetry.behaviour_metrics import BehaviourMetrics, WatchMetrics
from controlplane.telemetry.budget_metrics import BudgetMetrics
from controlplane.telemetry.capability_metrics import CapabilityMetrics, RevocationMetrics
from controlplane.telemetry.change_metrics import ChangeMetrics
from controlplane.telemetry.console_metrics import ConsoleMetrics
from controlplane.telemetry.content_metrics import ContentMetrics
from controlplane.telemetry.decision_metrics import DecisionMetrics, InterventionMetrics
from controlplane.telemetry.edge_metrics import EdgeMetrics
from controlplane.telemetry.families import Families
from controlplane.telemetry.identity_metrics import EnrolmentMetrics, IdentityMetrics
from controlplane.telemetry.labels import BoundedLabels
from controlplane.telemetry.model_metrics import ModelMetrics
from controlplane.telemetry.policy_metrics import EngineMetrics, PolicyMetrics
from controlplane.telemetry.privacy_metrics import PrivacyMetrics
from controlplane.telemetry.record_metrics import LogMetrics, RecordMetrics
from controlplane.telemetry.secret_metrics import SecretMetrics
from controlplane.telemetry.segment_metrics import SegmentMetrics
from controlplane.telemetry.sharing_metrics import SharingMetrics
from controlplane.telemetry.site_metrics import SiteMetrics
from controlplane.telemetry.training_metrics import TrainingMetrics


class Metrics:
    """Every metric of the control plane by capability, on a registry of its own.

    Args:
        version: of the product.
        causes: why a capability or a key proof may be refused; others are counted as ``other``.
    """

    def __init__(self, version: str, causes: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._reasons = BoundedLabels()
        self._segments = BoundedLabels()
        make = Families(self.registry)
        self.decisions = DecisionMetrics(make)
        self.interventions = InterventionMetrics(make)
        self.records = RecordMetrics(make)
        self.log = LogMetrics(make)
        self.engine = EngineMetrics(make)
        self.policies = PolicyMetrics(make)
        self.enrolments = EnrolmentMetrics(make)
        self.identity = IdentityMetrics(make)
        self.capabilities = CapabilityMetrics(make, causes)
        self.revocation = RevocationMetrics(make)
        self.training = TrainingMetrics(make)
        self.behaviour = BehaviourMetrics(make)
        self.watched = WatchMetrics(make)
        self.sites = SiteMetrics(make, self.segment)
        self.edge = EdgeMetrics(make)
        self.models = ModelMetrics(self.registry)
        self.attestation = AttestationMetrics(self.registry)
        self.secrets = SecretMetrics(self.registry)
        self.segments = SegmentMetrics(self.registry)
        self.sharing = SharingMetrics(self.registry)
        self.privacy = PrivacyMetrics(self.registry)
        self.budgets = BudgetMetrics(self.registry)
        self.content = ContentMetrics(self.registry)
        self.console = ConsoleMetrics(make)
        self.changes = ChangeMetrics(make)
        make.gauge("ztfm_build_info", "Version of the control plane", "version").labels(version).set(1)

    def reason(self, code: str) -> str:
        """Return the label for a policy's reason; policies declare few, and their number is bounded here."""
        return self._reasons(code)

    def segment(self, name: str) -> str:
        """Return the label for a segment."""
        return self._segments(name)

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition and its content type.

        Args:
            accept: what the scraper takes (the header's value); exemplars travel in OpenMetrics alone.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
