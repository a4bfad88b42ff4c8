"""The sync face of `adapters.plane.ControlPlane`: the same names, for threads that may block."""

from types import TracebackType
from typing import Any, Self, Unpack

from adapters.calls import CallOptions
from adapters.looping import Blocking, LoopThread, blocking
from adapters.plane import ControlPlane
from adapters.renewal import Capabilities
from controlplane.jose.keys import DeviceKey


class SyncControlPlane(Blocking[ControlPlane]):
    """`ControlPlane` for code without an event loop. A context manager; any number of threads may share one.

    The asynchronous client runs on a loop in a thread of its own, which the first call starts and `close` ends.
    The arguments, results and exceptions of each method are those of its namesake. What streams has no namesake:
    `follow_revocations` follows `ControlPlane.events` in this client's thread.
    """

    def __init__(self, url: str, key: DeviceKey, **options: Unpack[CallOptions]) -> None:
        super().__init__(ControlPlane(url, key, **options), LoopThread())

    @property
    def url(self) -> str:
        """The control plane's public URL."""
        return self._face.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections and end the thread; calls under way in other threads are cancelled."""
        self._thread.close(self._face.close)

    enrol = blocking(ControlPlane.enrol)
    capability = blocking(ControlPlane.capability)
    resolve = blocking(ControlPlane.resolve)
    certificate = blocking(ControlPlane.certificate)
    jwt_svid = blocking(ControlPlane.jwt_svid)
    trust_bundle = blocking(ControlPlane.trust_bundle)
    identity = blocking(ControlPlane.identity)
    rotate_key = blocking(ControlPlane.rotate_key)
    challenge = blocking(ControlPlane.challenge)
    attest = blocking(ControlPlane.attest)
    attestation = blocking(ControlPlane.attestation)
    open_round = blocking(ControlPlane.open_round)
    report_updates = blocking(ControlPlane.report_updates)
    report_rollback = blocking(ControlPlane.report_rollback)
    report_signals = blocking(ControlPlane.report_signals)
    judge_content = blocking(ControlPlane.judge_content)
    evaluate = blocking(ControlPlane.evaluate)
    evaluate_many = blocking(ControlPlane.evaluate_many)
    search_subjects = blocking(ControlPlane.search_subjects)
    search_resources = blocking(ControlPlane.search_resources)
    search_actions = blocking(ControlPlane.search_actions)
    register_version = blocking(ControlPlane.register_version)
    model_versions = blocking(ControlPlane.model_versions)
    model_version = blocking(ControlPlane.model_version)
    withdraw_version = blocking(ControlPlane.withdraw_version)
    lease_budget = blocking(ControlPlane.lease_budget)
    settle_budgets = blocking(ControlPlane.settle_budgets)
    inference_budgets = blocking(ControlPlane.inference_budgets)
    register_secret = blocking(ControlPlane.register_secret)
    secrets = blocking(ControlPlane.secrets)
    withdraw_secret = blocking(ControlPlane.withdraw_secret)
    release_secret = blocking(ControlPlane.release_secret)
    attach = blocking(ControlPlane.attach)
    detach = blocking(ControlPlane.detach)
    attachment = blocking(ControlPlane.attachment)
    attachments = blocking(ControlPlane.attachments)
    segment_table = blocking(ControlPlane.segment_table)
    reach = blocking(ControlPlane.reach)
    decision = blocking(ControlPlane.decision)
    decisions = blocking(ControlPlane.decisions)
    decision_proof = blocking(ControlPlane.decision_proof)
    log_keys = blocking(ControlPlane.log_keys)
    device = blocking(ControlPlane.device)
    device_behaviour = blocking(ControlPlane.device_behaviour)
    standings = blocking(ControlPlane.standings)
    set_status = blocking(ControlPlane.set_status)
    order_rollback = blocking(ControlPlane.order_rollback)
    rollbacks = blocking(ControlPlane.rollbacks)
    contributions = blocking(ControlPlane.contributions)
    issue_tokens = blocking(ControlPlane.issue_tokens)
    signing_keys = blocking(ControlPlane.signing_keys)
    rotate_keys = blocking(ControlPlane.rotate_keys)
    withdraw_key = blocking(ControlPlane.withdraw_key)
    introspect = blocking(ControlPlane.introspect)
    revoke = blocking(ControlPlane.revoke)
    jwks = blocking(ControlPlane.jwks)
    follow_revocations = blocking(ControlPlane.follow_revocations)
    status_list = blocking(ControlPlane.status_list)
    readiness = blocking(ControlPlane.readiness)


class SyncCapabilities(Blocking[Capabilities]):
    """`adapters.renewal.Capabilities` for code without an event loop. A context manager; threads may share one.

    Args:
        plane: the control plane, spoken to as the caller; renewals go on in its thread.
        options: of `Capabilities`.
    """

    def __init__(self, plane: SyncControlPlane, **options: Any) -> None:
        super().__init__(Capabilities(plane._face, **options), plane._thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything, and end what is being asked; whoever waits for it is cancelled."""
        if self._thread.is_running:
            self._thread.run(self._face.close())

    get = blocking(Capabilities.get)
    forget = blocking(Capabilities.forget)
