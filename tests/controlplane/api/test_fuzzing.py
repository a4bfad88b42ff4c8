"""schemathesis, with every check on, against a live server: whatever fits the contract is answered as it says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.api import changes, events
from controlplane.capabilities.statuslist import window_of
from controlplane.history.workbench.trials import Bounds
from controlplane.history.workbench.work import WORK
from tests.controlplane.api.alerts import alert, told
from tests.support import MODEL, ControlPlane, running

pytest.importorskip("schemathesis")

HERE = Path(__file__).parent / "fuzzing"
ROOT = Path(__file__).resolve().parents[3]
SEED = "20260101"
EXAMPLES = 6
"""Of each operation, at random; every bound of every field is tried beside them, which are four requests of five."""
SECONDS = 240
ROUND = "fuzzed-round"

CALLERS = {
    r"/v1/capabilities": "consumer",
    r"/v1/rounds/[^/]+(/(rollback|contributions|verdicts)|$)|/v1/rollbacks$": "operator",
    r"/v1/rounds|/v1/rollbacks": "aggregator",
    r"/access|/v1/events|/v1/status-lists|/v1/behaviour/signals|/v1/gateway|/v1/budgets/|/oauth/introspect": "gateway",
    r"/oauth|/v1/certificates|/v1/svids": "trainer",
    r"/v1/decisions|/metrics": "operator",
    r"/": "administrator",
}
"""Who asks, by the beginning of the path; the first that fits."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: what is tried here sets devices apart and rotates keys."""
    with pytest.MonkeyPatch.context() as patch:
        for streaming in (changes, events):
            patch.setattr(streaming, "STREAM_SECONDS", 0.3)
        with running() as plane:
            # A try of policies takes seconds; that it was not done in time is an answer, too.
            bounds = dict.fromkeys(WORK, Bounds(seconds=0.3))
            patch.setattr(plane.services.workbench._trials, "_bounds", bounds)  # type: ignore[attr-defined]
            yield plane


def given(plane: ControlPlane) -> dict[str, object]:
    """Return who may ask, and what is there to be asked about."""
    callers = {role: plane.enrol(role) for role in dict.fromkeys(CALLERS.values())}
    victim = plane.enrol("trainer")
    callers["aggregator"].open_round(ROUND, [victim])
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    decided = callers["consumer"].capability("inference", inference=size).expect(201)["decision_id"]
    excepted = {
        "subject": victim.id,
        "resource": MODEL,
        "action": "inference",
        "waives": ["trust_sufficient"],
        "reason": "To be revoked.",
        "ends_at": plane.clock() + 3600.0,
    }
    held = told(plane, alert(plane.clock())).expect(200)["alerts"][0]["hold"]
    return {
        "url": plane.url,
        "alerts_token": plane.services.access.alerts_token,
        "keys": {pattern: callers[role].key.to_pem().decode() for pattern, role in CALLERS.items()},
        "names": {
            "/v1/devices/{id}/attestation": victim.id,
            "/v1/devices/{id}": victim.id,
            "/v1/devices/{id}/behaviour": victim.id,
            "/v1/devices/{id}/status": victim.id,
            "/v1/devices/{id}/updates": victim.id,
            "/v1/decisions/{id}": decided,
            "/v1/decisions/{id}/explanation": decided,
            "/v1/exceptions/{id}/revoke": callers["administrator"].post("/v1/exceptions", excepted).expect(201)["id"],
            "/v1/holds/{id}": held["id"],
            "/v1/rounds/{id}/updates": ROUND,
            "/v1/rounds/{id}/rollback": ROUND,
            "/v1/rounds/{id}/rollback/preview": ROUND,
            "/v1/rounds/{id}/verdicts": ROUND,
            "/v1/rounds/{id}": ROUND,
            "/v1/rounds/{id}/contributions": ROUND,
            "/v1/segments/attachments/{id}": victim.id,
            "/v1/status-lists/{id}": str(window_of(plane.clock())),
        },
        "tokens": [plane.token(["trainer"], "homes") for _ in range(100)],
    }


@pytest.mark.timeout(SECONDS + 60)
def test_nothing_that_schemathesis_tries_is_answered_otherwise_than_the_contract_says(
    fuzzed: ControlPlane, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")]
    command += ["--no-color", "run", fuzzed.url + "/openapi.json", "--checks", "all", "--seed", SEED]
    command += ["--max-examples", str(EXAMPLES), "--continue-on-failure", "--generation-database", "none"]
    command += ["--report", "json", "--report-json-path", str(report), "--output-truncate", "true"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.controlplane.api.fuzzing.callers",
        "ZTFM_FUZZING": json.dumps(given(fuzzed)),
    }
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    shown = "\n".join(line[:600] for line in result.stdout.splitlines() if line.strip())
    assert result.returncode == 0, shown[-12_000:] + result.stderr[-2000:]
    assert "Tested: " in result.stdout
