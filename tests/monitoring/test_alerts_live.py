"""A poisoning attack and an outage of OPA, seen by the alerts that we ship, sixty times as fast.

The services are those of docker-compose.yml as processes. Prometheus reads the shipped configuration and rules, every
duration of which is divided by one factor; Alertmanager reads its shipped configuration as it is, and tells the control
plane. Thresholds that are a number of things, or an age that the control plane counts, stay as they are.

Two things do not scale. Windows of hours and days hold nothing but this test, so an outage of seconds is a large share
of them: the ticket on the budget fires, and ends long after the test. And how fast decisions are says more of what else
the machine does than of them, so the alerts on latency are not looked at.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

import pytest
import torch

from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from controlplane.capabilities.proof import make_proof
from controlplane.sidecar import OpaNotFound, locate_opa
from tests.adapters.conftest import AUDIENCE, update_of
from tests.deploy.stack import ROOT, Stack, StackMissing
from tests.servers.alertmanager import AlertmanagerMissing, Running, running_alertmanager
from tests.servers.prometheus import Prometheus, running_prometheus
from tests.servers.promtool import PromtoolMissing
from tests.support import MODEL, wait_until

FACTOR = 60
HONEST, HOSTILE = 7, 3
PACE = re.compile(r"(scrape_interval|evaluation_interval|scrape_timeout): \w+")
DURATION = re.compile(r"(?<![\w.])(\d+)(s|m|h|d)\b")
MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

MOST_ROUNDS = 12

CAMPAIGN = "ZtfmPoisoningCampaign"
OUTAGE = {"ZtfmNotReady", "ZtfmPolicyEngineDown", "ZtfmAvailabilityBurnsFast"}
LASTS = "ZtfmAvailabilityBurnsSlowly"
WEBHOOK = '{integration="webhook"}'
SILENCED = {"ZtfmBehaviourNotJudged", "ZtfmLogTermsMissing"}
"""What policy cannot say either, should it be asked meanwhile; Alertmanager keeps it to itself."""
NOT_LOOKED_AT = {"ZtfmLatencyBurnsFast", "ZtfmLatencyBurnsSlowly"}


def scaled(text: str) -> str:
    """Return a shipped file with every duration divided by the factor; a scrape takes as long as it takes."""
    faster = "\n".join(line if line.lstrip().startswith("#") else _scaled(line) for line in text.splitlines())
    return PACE.sub(r"\1: 500ms", faster)


def _scaled(line: str) -> str:
    return DURATION.sub(lambda found: f"{int(found[1]) * MILLISECONDS[found[2]] // FACTOR}ms", line)


def test_every_duration_is_scaled_and_nothing_else() -> None:
    rule = "expr: job:ztfm_x:ratio_rate5m > 14.4 * 0.001 and rate(ztfm_x_total[5m] offset 1d) > 900\nfor: 2m"
    assert scaled(rule) == rule.replace("[5m]", "[5000ms]").replace("1d", "1440000ms").replace("2m", "2000ms")
    assert scaled("scrape_interval: 15s\n# After 15s") == "scrape_interval: 500ms\n# After 15s"


@dataclass
class Asker:
    """A device that asks for an inference several times a second, whatever it is answered."""

    url: str
    member: Member
    answers: list[int] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="asker")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            self.answers.append(self._ask())

    def _ask(self) -> int:
        url = f"{self.url}/v1/capabilities"
        asked = {
            "action": "inference",
            "resource": {"type": "model", "id": MODEL},
            "audience": "gateway-1",
            "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
        }
        proof = make_proof(self.member.key, method="POST", url=url, now=time.time())
        headers = {"Content-Type": "application/json", "DPoP": proof}
        request = urllib.request.Request(url, json.dumps(asked).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code


@dataclass
class Site:
    """The services, and every alert that has fired so far."""

    stack: Stack
    prometheus: Prometheus
    alertmanager: Running
    parties: dict[str, list[Member]]
    fired: set[str] = field(default_factory=set)

    def firing(self) -> set[str]:
        """Return what fires now, and remember it."""
        time.sleep(0.1)  # so that asking is not what keeps the machine busy
        now = self.prometheus.firing() - NOT_LOOKED_AT
        self.fired |= now
        return now

    def federate(self) -> None:
        """Run rounds in which three devices of a segment attack, until the last of them is set apart."""
        [aggregator] = self.parties["aggregator"]
        guard = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, patience_seconds=2.0)
        state = {"weight": torch.ones(8, 4), "bias": torch.zeros(8)}
        members, seeds, apart = self.parties["trainer"], count(), set[str]()
        hostile = members[:HOSTILE]
        for _ in range(MOST_ROUNDS):
            with GuardedRound(guard, state, members) as guarded:
                for member in guarded.allowed():
                    update = update_of(state, next(seeds))
                    if member in hostile:
                        update = {name: -1.5 * tensor for name, tensor in update.items()}
                    guarded.submit(member, update, 10)
                state = guarded.aggregate()
            apart |= set(guard.report.rounds[-1].quarantined)
            if len(apart) >= HOSTILE:
                break
        assert apart == {member.id for member in hostile}


@pytest.fixture
def site() -> Iterator[Site]:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="ztfm-")))
        try:
            stack = Stack(folder, folder / "policies", locate_opa(os.environ).path.resolve())
            shutil.copytree(ROOT / "policies", stack.policies)
            stack.install()
            prepared = stack.run("prepare")
            assert prepared.returncode == 0, prepared.stderr
            opened.callback(stack.stop)
            stack.start("opa")
            stack.start("controlplane")
            stack.wait_healthy("controlplane")
            stack.wait_healthy("opa")
            plane = {"controlplane:8181": f"127.0.0.1:{stack.port}"}
            held = stack.environment("controlplane").get("ZTFM_ALERTS_TOKEN_FILE", folder / "state" / "alerts-token")
            alerts_token = Path(held).read_text().strip()
            metrics_token = (folder / "run-metrics" / "metrics-token").read_text().strip()
            told = opened.enter_context(running_alertmanager(folder / "alertmanager", alerts_token, plane))
            places = {**plane, "alertmanager:9093": told.address}
            asked = opened.enter_context(
                running_prometheus(
                    folder / "prometheus", metrics_token, places, scaled, f"--query.lookback-delta={300 // FACTOR}s"
                )
            )
        except (AlertmanagerMissing, OpaNotFound, PromtoolMissing, StackMissing) as missing:
            pytest.skip(str(missing).splitlines()[0])
        parties = {
            role: [opened.enter_context(member) for member in enrolled(stack, role, segment, many)]
            for role, segment, many in (
                ("aggregator", "core", 1),
                ("trainer", "homes", HOSTILE + HONEST),
                ("consumer", "homes", 1),
            )
        }
        yield Site(stack, asked, told, parties)


def enrolled(stack: Stack, role: str, segment: str, many: int) -> Iterator[Member]:
    """Enrol so many."""
    command = [str(stack.folder / "bin" / "ztfm"), "tokens", "issue", "--role", role, "--segment", segment]
    said = subprocess.run(
        [*command, "--count", str(many)],
        env=stack.environment("controlplane"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for number, token in enumerate(said.stdout.split()):
        place = stack.folder / f"{role}-{number}"
        yield Member.enrol(place, f"http://127.0.0.1:{stack.port}", token, roles=[role], segment=segment)


@pytest.mark.minutes
@pytest.mark.timeout(240)
def test_an_attack_and_an_outage_are_told_of_and_nothing_else_and_what_is_over_is_over(site: Site) -> None:
    [consumer] = site.parties["consumer"]
    with Asker(f"http://127.0.0.1:{site.stack.port}", consumer) as asker:
        wait_until(lambda: site.prometheus.value('up{job="ztfm"}') == 1.0, 30)
        site.federate()
        wait_until(lambda: site.firing() == {CAMPAIGN}, 30, "the campaign alone")
        wait_until(lambda: site.alertmanager.states().get(CAMPAIGN) == "active", 30)
        wait_until(lambda: (site.prometheus.value(f"sum(alertmanager_notifications_total{WEBHOOK})") or 0) >= 1, 30)
        assert site.prometheus.value(f"sum(alertmanager_notifications_failed_total{WEBHOOK})") == 0
        assert set(asker.answers) == {201}

        site.stack.kill("opa")
        wait_until(lambda: site.firing() >= OUTAGE, 60, "the outage")
        wait_until(lambda: site.alertmanager.states().get("ZtfmNotReady") == "suppressed", 30)
        assert site.alertmanager.states()["ZtfmPolicyEngineDown"] == "active"
        assert 503 in asker.answers

        site.stack.start("opa")
        site.stack.wait_healthy("controlplane")
        wait_until(lambda: asker.answers[-1] == 201, 30, "it decides again")
        wait_until(lambda: site.firing() <= {LASTS}, 90, "all is over")
    assert site.fired - {LASTS} - SILENCED == {CAMPAIGN, *OUTAGE}
