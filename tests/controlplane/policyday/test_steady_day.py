"""The example of a requirement of one's own, while a control plane serves: looked back with, then deciding."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.contracts.trusthistory import DAY_SECONDS, TrustHistory
from tests.controlplane.policyday.installation import Author, Installation, codes, rewrite
from tests.examples.steady import laid_over
from tests.support import DIGEST, Caller, Reply, wait_until


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name, pytest.MonkeyPatch.context() as patch:
        for module in ("serve", "policy_published"):
            patch.setattr(f"controlplane.cli.{module}.configure_logs", lambda *_, **__: None)
        yield Path(name)


@pytest.fixture
def here(place: Path) -> Iterator[Installation]:
    state = place / "state"
    state.mkdir(mode=0o700)
    found = Installation(state, Author({"ZTFM_STATE_DIR": str(state), "COLUMNS": "200"}))
    found.start()
    yield found
    found.kill()


@pytest.fixture
def candidate(place: Path) -> Path:
    """The example, with the demo's model among those that ask for a steady week."""
    folder = laid_over(place / "steady").root

    def ask(data: Any) -> None:
        data["seconds"]["internal"] = 7 * DAY_SECONDS

    rewrite(folder / "data/steadiness/data.json", ask)
    stranger = folder / "ztfm/model_access/examples/denied_stranger.json"
    rewrite(stranger, lambda found: found.update(reasons=sorted([*found["reasons"], "trust_steady"])))
    # By the example's own tests, models of this sensitivity ask for no such thing.
    (folder / "ztfm/model_access/steady_test.rego").unlink()
    return folder


def pull(device: Caller) -> Reply:
    return device.capability("model_access", digest=DIGEST, purpose="serving")


def steady(here: Installation) -> Caller:
    """A device whose trust is what it was eight days ago."""
    device = here.enrol("consumer", "homes")
    with here.database() as database:
        [score] = database.execute("SELECT trust_score FROM devices WHERE id = ?", (device.id,)).fetchone()
        history = TrustHistory.of(score, time.time() - 8 * DAY_SECONDS).model_dump_json()
        database.execute("UPDATE devices SET trust_history = ? WHERE id = ?", (history, device.id))
    return device


@pytest.mark.timeout(300)
def test_whose_trust_may_have_fallen_this_week_pulls_no_more_unless_an_exception_says_so(
    here: Installation, candidate: Path
) -> None:
    author, elder, newcomer = here.author, steady(here), here.enrol("consumer", "homes")

    def known(device: Caller) -> float:
        decision = pull(device).expect(201)["decision_id"]
        record = device.get(f"/v1/decisions/{decision}").expect(200)
        return float(record["facts"]["subject"]["properties"]["trust"]["history"]["steady_seconds"])

    wait_until(lambda: known(elder) > 7 * DAY_SECONDS, what="the week is known")
    assert known(newcomer) < DAY_SECONDS
    replayed = author.says("replay", "--candidate", candidate, "--action", "model_access", "--limit", "1", code=1)
    assert groups(replayed) == {("newly_denied", "model_access", "trust_steady", "homes")}
    here.decides_by(author.says("publish", "--policies", candidate)["revision"])
    pull(elder).expect(201)
    assert codes(pull(newcomer)) == ["trust_steady"]
    an_exception_lets_past_it(author, newcomer)


def an_exception_lets_past_it(author: Author, device: Caller) -> None:
    asked = ("--subject", device.id, "--resource", "smart-home-intents", "--action", "model_access", "--for", "1h")
    granted = author.says("exception", "grant", *asked, "--waive", "trust_steady", "--reason", "It was looked at.")
    wait_until(lambda: pull(device).status == 201, what="the exception counts")
    decision = pull(device).expect(201)["decision_id"]
    obligations = device.get(f"/v1/decisions/{decision}").expect(200)["obligations"]
    assert (obligations["waived"], obligations["exceptions"]) == (["trust_steady"], [granted["id"]])


def groups(report: Any) -> set[tuple[str, str, str, str]]:
    return {(item["change"], item["action"], item["reason"], item["segment"]) for item in report["groups"]}
