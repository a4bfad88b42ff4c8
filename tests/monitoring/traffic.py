"""Something for every panel to show: what devices, gateways, people and an attacker do to a control plane."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import text

from adapters.gateway.metrics import GatewayMetrics
from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from adapters.rollback import DeltaArchive
from adapters.segments.metrics import Standing
from controlplane.bundles import BundleSigner
from controlplane.contracts.identity import Trust
from controlplane.contracts.shadow import DISAGREEMENTS
from controlplane.jose.keys import DeviceKey
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from tests.adapters.conftest import AUDIENCE, update_of
from tests.controlplane.api.alerts import alert, told
from tests.controlplane.api.oauth_client import OAuthClient
from tests.controlplane.api.test_gateway_decisions import report as content
from tests.controlplane.api.test_signals import signals
from tests.controlplane.api.test_site import PATH as SITE
from tests.controlplane.api.test_site import stated
from tests.controlplane.behaving import observed
from tests.controlplane.identity.issuer import AUDIENCE as PEOPLE
from tests.controlplane.identity.issuer import Issuer, ec_key, serving_issuer
from tests.pausing import pause
from tests.support import DIGEST, MODEL, UNLIMITED, ControlPlane, running, wait_until

GZIP = {"Content-Type": "application/gzip"}
SIZE = {"prompt_tokens": 8, "max_output_tokens": 8}
AUDITOR = {"description": "Reads the decision log.", "grants": {"decision:list": {}, "decision:read": {}}}
"""The role that Grafana needs, as docs/grafana.md has it."""

NOISED = "noised-model"
"""A model that is trained with noise."""

HONEST = 7
GREEDY = 10**6
"""Tokens of an answer, many more than a role may have in a minute."""


def with_auditors(folder: Path, issuer: str) -> Path:
    """Return a copy of the policies that knows a provider, whose group ``federation-dashboards`` may read decisions."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)

    def people(known: Any) -> Any:
        [example] = known.values()
        return {**known, issuer: {**example, "claims": {"groups": {"federation-dashboards": {"auditor": True}}}}}

    change(policies / "data/people/data.json", people)
    schema = policies / "data/people/people.schema.json"
    schema.write_text(schema.read_text().replace('"author",', '"auditor", "author",'))
    change(policies / "data/roles/data.json", lambda roles: {**roles, "auditor": AUDITOR})
    change(policies / "data/segments/data.json", lambda found: found["core"]["roles"].update(auditor=True))
    change(policies / "data/resources/data.json", lambda found: {**found, NOISED: found[MODEL]})
    change(policies / "data/privacy/data.json", with_noise)
    return policies


def with_noise(known: Any) -> Any:
    """Return the plans with one more, whose budget has room for one submission of a device and no more."""
    kept = {"delta": 1e-6, "description": "Noised.", "epsilon": 0.55, "window_days": 7}
    plan = {"clip_norm": 1, "data_set": "noised", "mode": "local", "noise_multiplier": 16}
    return {"data_sets": {**known["data_sets"], "noised": kept}, "models": {**known["models"], NOISED: plan}}


def change(path: Path, how: Callable[[Any], Any]) -> None:
    """Change a file of JSON in place, or write what is returned."""
    document = json.loads(path.read_text())
    changed = how(document)
    path.write_text(json.dumps(document if changed is None else changed))


@dataclass
class Traffic:
    """A control plane, an aggregator with a guard, and who asks them."""

    plane: ControlPlane
    issuer: Issuer
    policies: Path
    guard: Guard
    members: list[Member]
    state: dict[str, torch.Tensor]
    seeds: Iterator[int] = field(default_factory=count)
    gateway_metrics: GatewayMetrics = field(default_factory=lambda: GatewayMetrics("gateway-1", (MODEL,)))
    router: Standing = field(default_factory=Standing)

    def __post_init__(self) -> None:
        enrol = self.plane.enrol
        self.admin, self.operator, self.gateway = enrol("administrator"), enrol("operator"), enrol("gateway")
        self.signer = BundleSigner.load_or_create(self.plane.state / "policy-signing.key")

    def auditor(self) -> str:
        """Return the token that the provider gives Grafana."""
        return self.issuer.token(groups=["federation-dashboards"])

    def burst(self) -> None:
        """Do everything once."""
        self._requests()
        self._tokens()
        self._administration()
        self._refusals()
        self._inferences()
        self._leases()
        self._contents()
        self._ways()
        self._answers()
        self._routers()
        self._sites()
        self._federation()
        self._noised()
        self._exception()
        self._alert()
        self._fault()
        self._insistence()
        self._difference()

    def _leases(self) -> None:
        """A gateway leases what is there and settles it, asks for what is not, and loses one lease."""
        asked = {"subject": self.plane.enrol("consumer").id, "model": MODEL}
        lease = self.gateway.post("/v1/budgets/leases", {**asked, "tokens": 100}).expect(201)
        use = {"lease": lease["id"], "requests": 1, "tokens": 70}
        self.gateway.post("/v1/budgets/settlements", {"settlements": [use]}).expect(200)
        self.gateway.post("/v1/budgets/leases", {**asked, "tokens": 900_000_000}).expect(429)

    def _contents(self) -> None:
        """A gateway asks about a prompt that passes, an answer that is changed, and a prompt that is denied."""
        device = self.plane.enrol("consumer").id
        for document in (content(device), content(device, "answer", secrets=1), content(device, injection=1.0)):
            self.gateway.post("/v1/gateway/decisions", document).expect(200)

    def _ways(self) -> None:
        """Two devices are attached; a router lets one through, and learns that the other one is cut off."""
        router = self.plane.enrol("router")
        places = {"site": "house-1", "device_class": "camera"}
        for status in ("active", "quarantined"):
            device, number = self.plane.enrol("consumer"), next(self.seeds) + 1
            stated = {**places, "address": f"192.168.{number // 250}.{number % 250}"}
            path = f"/v1/segments/attachments/{device.id}"
            self.plane.call("PUT", path, stated, key=self.operator.key).expect(200)
            device.capability("inference", audience="gateway-1", inference=SIZE).expect(201)
            if status != "active":
                change = {"status": status, "reason": "odd"}
                self.operator.post(f"/v1/devices/{device.id}/status", change).expect(200)
        router.get("/v1/segments/table").expect(200)

    def _noised(self) -> None:
        device, aggregator = self.plane.enrol("trainer"), self.plane.enrol("aggregator")
        opened = {"id": f"noised-{next(self.seeds)}", "model": NOISED, "model_digest": DIGEST, "duration_seconds": 60.0}
        aggregator.post("/v1/rounds", {**opened, "members": [device.id]}).expect(201)
        asked = {
            "action": "gradient_submission",
            "resource": {"type": "model", "id": NOISED},
            "audience": AUDIENCE,
            "context": {"round_id": opened["id"]},
        }
        device.post("/v1/capabilities", asked).expect(201)
        device.post("/v1/capabilities", asked).expect(403)

    def _requests(self) -> None:
        consumer = self.plane.enrol("consumer")
        asked = {
            "action": "inference",
            "resource": {"type": "model", "id": MODEL},
            "audience": "gateway-1",
            "context": {"inference": SIZE},
        }
        for _ in range(2):
            consumer.post("/v1/capabilities", asked, headers={"Idempotency-Key": "again"}).expect(201)
        consumer.post("/v1/certificates", {}).expect(201)
        consumer.post("/v1/svids/jwt", {"audience": ["gateway-1"]}).expect(201)
        subject = {"type": "device", "id": consumer.id}
        evaluation = {
            "subject": {**subject, "properties": {"password": "hidden"}},
            "action": {"name": "inference"},
            "resource": {"type": "model", "id": MODEL},
            "context": {"inference": SIZE, "sessionToken": "hidden"},
        }
        self.gateway.post("/access/v1/evaluation", evaluation).expect(200)
        search = {"subject": subject, "resource": {"type": "model", "id": MODEL}, "context": {"inference": SIZE}}
        self.gateway.post("/access/v1/search/action", search).expect(200)

    def _tokens(self) -> None:
        client, gateway = OAuthClient(self.plane.enrol("consumer")), OAuthClient(self.gateway)
        token = client.exchange().expect(200)["access_token"]
        client.credentials().expect(200)
        gateway.send("/oauth/introspect", {"token": token}).expect(200)
        client.send("/oauth/revoke", {"token": token})
        gateway.send("/oauth/introspect", {"token": token}).expect(200)

    def _administration(self) -> None:
        self.admin.post("/v1/enrolment-tokens", {"roles": ["trainer"], "segment": "homes"}).expect(201)
        device = self.plane.enrol("consumer")
        change = {"status": "quarantined", "reason": "odd"}
        self.operator.post(f"/v1/devices/{device.id}/status", change).expect(200)
        self.admin.post("/v1/keys").expect(202)
        self.operator.get(f"/v1/identifiers/{device.id}").expect(200)
        shown = {"Authorization": f"Bearer {self.auditor()}"}
        self.plane.call("GET", "/v1/decisions?limit=1", headers=shown).expect(200)
        # Of a key that nobody knows: the provider's are looked for again.
        unknown = {"Authorization": f"Bearer {self.issuer.token(header={'kid': 'another'})}"}
        assert self.plane.call("GET", "/v1/decisions?limit=1", headers=unknown).status == 401
        self.admin.post("/v1/policies/base", body=b"no bundle", headers=GZIP)
        self.operator.post("/v1/console/session", {}).expect(201)

    def _refusals(self) -> None:
        stranger = self.plane.stranger()
        asked = {"roles": ["trainer"], "segment": "homes"}
        enrolment = {**asked, "token": "ztfm-enrol-" + "x" * 43}
        stranger.post("/v1/devices", enrolment)
        stranger.post("/v1/devices", {**asked, "credential": "e30.e30.e30~e30.e30.e30"}).expect(403)
        assert self.plane.call("GET", "/v1/decisions").status == 401
        self.plane.enrol("trainer").capability("inference", inference=SIZE).expect(403)

    def _inferences(self) -> None:
        """Have five devices use the model, one of them otherwise than its peers, and one ask for more than it may."""
        devices = [self.plane.enrol("consumer") for _ in range(5)]
        for device in devices:
            device.capability("inference", inference=SIZE).expect(201)
        denied = devices[0].capability("inference", inference={**SIZE, "max_output_tokens": GREEDY}).expect(403)
        assert "tokens_within_budget" in {reason["code"] for reason in denied["reasons"]}
        reported = [signals(device.id) for device in devices]
        reported[0].update(queries=900, distinct=900, coverage=0.9, prompt_tokens=90_000, injections=1, secrets=1)
        for _ in range(2):
            self.gateway.post("/v1/behaviour/signals", {"signals": reported}).expect(200)

    def _answers(self) -> None:
        """What a gateway measures where an answer streams, one is cut, and the model server is away."""
        metrics = self.gateway_metrics
        for outcome in ("allowed", "wrong_key", "revocations_unknown"):
            metrics.outcome("inference", outcome)
        for failure in (None, "revoked", "upstream_unreachable"):
            exchange = metrics.began("chat", MODEL)
            exchange.first_token()
            time.sleep(0.01)
            exchange.ended(failure, input_tokens=8, output_tokens=4)
        metrics.cut("revoked")

    def _routers(self) -> None:
        """What a router tells that put some tables in force, and was refused one."""
        applied = self.router.events.get("applied", 0) + 3
        self.router = Standing(time.time(), 40, 2, 0.5, is_refused=True, events={"applied": applied, "refused": 1})

    def _sites(self) -> None:
        device = self.plane.enrol("trainer")
        device.post(SITE, {"statements": [stated(device), "no.statement.at all"]}).expect(200)

    def _federation(self) -> None:
        """Run rounds until the one that attacks is set apart, and have the first of them undone."""
        attacker = self.members.pop()
        for _ in range(12):
            with GuardedRound(self.guard, self.state, [attacker, *self.members]) as guarded:
                for member in guarded.allowed():
                    update = update_of(self.state, next(self.seeds))
                    if member is attacker:
                        update = {name: -1.5 * tensor for name, tensor in update.items()}
                    guarded.submit(member, update, 10)
                self.state = guarded.aggregate()
            if self.guard.report.rounds[-1].quarantined:
                break
        assert self.guard.report.rounds[-1].quarantined == (attacker.id,)
        first = self.guard.report.rounds[-1].round_id
        self.operator.post(f"/v1/rounds/{first}/rollback", {"subjects": [self.members[0].id], "reason": "A trial."})

    def _exception(self) -> None:
        doubted = self.plane.enrol("consumer")
        doubts = [observed(doubted.id, trust=Trust(score=0.2, observations=1))]
        self.plane.run(self.plane.services.registry.record_behaviour(doubts))
        granted = {
            "subject": doubted.id,
            "resource": MODEL,
            "action": "inference",
            "waives": ["trust_sufficient"],
            "reason": "The sensor was replaced.",
            "ends_at": time.time() + 3600.0,
        }
        self.admin.post("/v1/exceptions", granted).expect(201)
        wait_until(lambda: doubted.capability("inference", inference=SIZE).status == 201, 10)

    def _alert(self) -> None:
        """Have an alert ask for a hold, where nobody trains."""
        fingerprint = f"{next(self.seeds):016x}"
        firing = alert(time.time(), labels={"segment": "guests"}, fingerprint=fingerprint)
        assert [one["response"] for one in told(self.plane, firing).expect(200)["alerts"]] == ["hold"]

    def _fault(self) -> None:
        """End OPA under a request, and wait until it is back."""
        device, before = self.plane.enrol("consumer"), self.plane.sidecar.pid
        pause(before)
        device.capability("inference", inference=SIZE).expect(503)
        os.kill(before or 0, signal.SIGKILL)
        wait_until(lambda: device.capability("inference", inference=SIZE).status == 201, 20, "OPA to be back")

    def _difference(self) -> None:
        """Somebody gives a device another key in the database, which its records do not name."""
        device, thief = self.plane.enrol("consumer"), DeviceKey.generate()
        values = {"x": thief.public.x, "y": thief.public.y, "mark": thief.thumbprint, "id": device.id}
        swap = text("UPDATE devices SET key_x = :x, key_y = :y, key_thumbprint = :mark WHERE id = :id")
        self.plane.run(self.plane.store._database.change("swap a key", swap, values))

    def _insistence(self) -> None:
        """Ask as a stranger until it is too much."""
        wait_until(lambda: self.plane.call("GET", "/v1/decisions").status == 429, 60, "a stranger to be turned away")
        # Whoever enrols is a stranger too.
        time.sleep(1.0)

    def release(self) -> None:
        """Publish a policy."""
        batch = self.policies / "ztfm/batch/batch.rego"
        batch.write_text(f"{batch.read_text()}\n# Changed.\n")
        self.admin.post("/v1/policies/base", body=self._bundle(), headers=GZIP).expect(201)

    def shadow(self) -> None:
        """Put a candidate into the shadow that answers otherwise."""
        limits = self.policies / "data/limits/data.json"
        kept = limits.read_text()
        change(limits, lambda found: found["detail"].update(watched="full"))
        self.admin.post("/v1/policies/shadow", body=self._bundle(), headers=GZIP).expect(201)
        limits.write_text(kept)

    def compare(self) -> None:
        """Ask until the candidate has disagreed; its OPA comes last where processors are short."""
        device = self.plane.enrol("consumer")

        def differs() -> bool:
            device.capability("inference", inference=SIZE)
            time.sleep(0.3)
            return any(self.plane.metric("ztfm_shadow_changes_total", change=change) for change in DISAGREEMENTS)

        wait_until(differs, 120, "the candidate to disagree")

    def _bundle(self) -> bytes:
        made = build(locate_opa(os.environ), self.policies, wasm=False)
        return self.signer.sign(made.files, "base", made.revision)


@contextmanager
def traffic(folder: Path) -> Iterator[Traffic]:
    """Start a control plane, an identity provider and an aggregator; what is done every minute is done every second."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("controlplane.upkeep.RELEASE_EVERY_SECONDS", 1.0)
        patch.setattr("controlplane.identity.provider.PAUSE_SECONDS", 0.0)
        patch.setattr("controlplane.decisions.exceptions.ENDING_EVERY_SECONDS", 1.0)
        patch.setattr("controlplane.shadowing.EVERY_SECONDS", 0.2)
        patch.setattr("controlplane.budgetkeeping.EVERY_SECONDS", 1.0)
        issuer = stack.enter_context(serving_issuer(issuer=Issuer(keys=[ec_key("one")])))
        policies = with_auditors(folder, issuer.url)
        plane = stack.enter_context(
            running(
                policies=policies,
                oidc_issuer=issuer.url,
                oidc_audience=PEOPLE,
                opa_deadline_seconds=2.0,
                ledger_seconds=0.5,
                limits=replace(UNLIMITED, stranger_rate=4.0, stranger_burst=60.0),
            )
        )
        # A stand-in: what is published is not tested for half a minute before, as tests/controlplane/api tries.
        patch.setattr(plane.services.policies.publisher, "_check", lambda _verified: None)

        def member(role: str, number: int) -> Member:
            segment = "core" if role == "aggregator" else "homes"
            token = plane.token([role], segment)
            enrolled = Member.enrol(folder / f"{role}-{number}", plane.url, token, roles=[role], segment=segment)
            return stack.enter_context(enrolled)

        aggregator = member("aggregator", 0)
        archive = DeltaArchive(folder / "archive", aggregator.key)
        stack.callback(archive.close)
        guard = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, patience_seconds=1.0, archive=archive)
        state = {"weight": torch.ones(8, 4), "bias": torch.zeros(8)}
        yield Traffic(plane, issuer, policies, guard, [member("trainer", number) for number in range(HONEST)], state)
