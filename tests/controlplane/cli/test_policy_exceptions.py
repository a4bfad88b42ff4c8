"""``ztfm policy exception``: on the state folder itself, while a control plane serves it or not."""

import asyncio
import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.bundles.archive import write_archive
from controlplane.cli.commands import app
from controlplane.cli.configured import load_settings
from controlplane.cli.stores import existing_store
from controlplane.contracts.identity import Trust
from controlplane.storage.releases import NewRelease
from tests.controlplane.behaving import observed
from tests.support import MODEL, Caller, ControlPlane, running, wait_until

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def served() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture
def run(served: ControlPlane) -> Run:
    return lambda *words: CliRunner().invoke(app, ["policy", "exception", *words, "--state-dir", str(served.state)])


@pytest.fixture
def doubted(served: ControlPlane) -> Caller:
    """A device whose trust is too low to ask a model."""
    device = served.enrol("consumer")
    doubts = [observed(device.id, trust=Trust(score=0.2, observations=1))]
    served.run(served.services.registry.record_behaviour(doubts))
    return device


def infers(device: Caller) -> bool:
    return device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).status == 201


def asked(**changes: Any) -> list[str]:
    known = {
        "--subject": "dev-1",
        "--resource": MODEL,
        "--action": "inference",
        "--waive": "trust_sufficient",
        "--reason": "The sensor was replaced.",
        "--for": "7d",
    }
    given = {**known, **{f"--{name}": value for name, value in changes.items()}}
    return ["grant", *(word for name, value in given.items() if value is not None for word in (name, value))]


def document(done: Result) -> Any:
    """Return what was printed as JSON; the control plane of this process may log in between."""
    assert done.exit_code == 0, done.output
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def granted(run: Run, **changes: Any) -> Any:
    return document(run(*asked(**changes), "--json"))


def test_what_it_grants_and_revokes_holds_in_the_control_plane_that_serves(run: Run, doubted: Caller) -> None:
    assert not infers(doubted)
    made = granted(run, subject=doubted.id)
    assert made["approver"] == f"local:{getpass.getuser()}"
    assert made["ends_at"] - made["starts_at"] == 7 * 86_400
    wait_until(lambda: infers(doubted), 5.0)
    wait_until(lambda: document(run("list", "--subject", doubted.id, "--json"))["exceptions"][0]["uses"] > 0)
    revoked = document(run("revoke", made["id"], "--json"))
    assert (revoked["state"], revoked["revoked_by"]) == ("revoked", f"local:{getpass.getuser()}")
    wait_until(lambda: not infers(doubted), 5.0)


def test_a_decision_that_needed_it_is_explained_and_replayed_alike_after_it_has_ended(
    served: ControlPlane, run: Run, doubted: Caller
) -> None:
    made = granted(run, subject=doubted.id)
    wait_until(lambda: infers(doubted), 5.0)
    decision = doubted.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).expect(201)
    run("revoke", made["id"])
    state = ["--state-dir", str(served.state), "--json"]
    explained = CliRunner().invoke(app, ["policy", "explain", decision["decision_id"], *state])
    waived = {item["code"] for item in document(explained)["requirements"] if item["waived"]}
    assert waived == {"trust_sufficient"}
    about = ["--action", "inference", "--subject", doubted.id]
    replayed = CliRunner().invoke(app, ["policy", "replay", "--candidate", "policies", *about, *state])
    assert document(replayed)["changed"] == 0


def test_a_list_shows_what_has_not_ended_or_all(run: Run, doubted: Caller) -> None:
    kept, ended = (granted(run, subject=doubted.id, approver=name)["id"] for name in ("adm-1", "adm-2"))
    run("revoke", ended)
    shown = document(run("list", "--subject", doubted.id, "--json"))
    assert ([item["id"] for item in shown["exceptions"]], shown["more"]) == ([kept], False)
    every = document(run("list", "--subject", doubted.id, "--all", "--limit", "1", "--json"))
    assert ([item["id"] for item in every["exceptions"]], every["more"]) == ([ended], True)
    table = run("list", "--subject", doubted.id, "--all").stdout
    for line in (f"{kept}  current  ", f"{ended}  revoked  ", f"{doubted.id} inference {MODEL}: trust_sufficient"):
        assert line in table
    assert "approved by adm-2: The sensor was replaced." in table


def test_it_starts_and_ends_at_dates(run: Run, doubted: Caller) -> None:
    made = granted(run, **{"subject": doubted.id, "for": None, "from": "2100-01-01", "until": "2100-01-02T00:00Z"})
    assert (made["state"], made["starts_at"], made["ends_at"]) == ("scheduled", 4_102_444_800.0, 4_102_531_200.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"for": None}, "either --until or --for"),
        ({"until": "2100-01-01"}, "either --until or --for"),
        ({"for": "soon"}, "no length of time"),
        ({"for": None, "until": "soon"}, "no date"),
        ({"for": None, "until": "2020-01-01", "from": "2019-12-31"}, "ended already"),
        ({"for": None, "until": "2020-01-01"}, "ends before it starts"),
        ({"for": "0s"}, "ends before it starts"),
        ({"for": "91d"}, "90 days"),
        ({"waive": "subject_active"}, "--waive"),
        ({"reason": " "}, "--reason"),
        ({"subject": "no spaces"}, "--subject"),
        ({"approver": "dev-1"}, "for itself"),
        ({"approver": "two words"}, "--approver"),
    ],
)
def test_what_is_no_exception_is_refused_and_why_is_said(run: Run, change: dict[str, Any], said: str) -> None:
    done = run(*asked(**change))
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.startswith("ztfm policy exception grant: ")


@pytest.mark.parametrize(
    ("waive", "lasts", "status"), [("of_their_own", "3d", 0), ("window_open", "3d", 2), ("of_their_own", "8d", 2)]
)
def test_what_the_released_policies_let_be_waived_can_be_and_no_more(
    tmp_path: Path, waive: str, lasts: str, status: int
) -> None:
    limits = {"exception_days_maximum": 7, "waivable": {"of_their_own": True}}
    body = write_archive({"data.json": json.dumps({"data": {"limits": limits}}).encode()})

    async def _release() -> None:
        async with existing_store(load_settings(state_dir=tmp_path)) as store:
            await store.releases.add(NewRelease("base", "a.b", "k", "published", 1.0, "ada"), body)

    asyncio.run(_release())
    done = CliRunner().invoke(
        app, ["policy", "exception", *asked(**{"waive": waive, "for": lasts}), "--state-dir", str(tmp_path)]
    )
    assert done.exit_code == status, done.output
    assert status == 0 or ("what can is of_their_own" if waive == "window_open" else "7 days") in done.stderr


def test_too_many_for_one_request_are_refused(run: Run, doubted: Caller) -> None:
    for _ in range(16):
        granted(run, subject=doubted.id)
    done = run(*asked(subject=doubted.id))
    assert done.exit_code == 1
    assert "revoke some" in done.stderr


@pytest.mark.parametrize("name", ["exc-none", "no such", "%00"])
def test_one_that_is_not_there_is_not_revoked(run: Run, name: str) -> None:
    done = run("revoke", name)
    assert done.exit_code == 1
    assert "there is no exception" in done.stderr


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["policy", "exception", "list", "--state-dir", str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "no state folder" in done.stderr
    assert not (tmp_path / "none").exists()
