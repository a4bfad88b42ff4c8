"""``ztfm rounds``: who contributed, ordering a rollback on the store, and an archive looked at beside it."""

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from safetensors.torch import load_file

from adapters.rollback import Aggregated, DeltaArchive
from controlplane.cli.rounds_archived import differences
from controlplane.contracts.rollback import Contribution, RollbackResult
from controlplane.contracts.rounds import Round
from controlplane.storage import Store, open_store
from controlplane.storage.contributions import add_contributions
from tests.adapters.rollback.rounds import KEY, MODEL, digest, equal, filled, without
from tests.controlplane.decisions.test_judged import keep, record

NOW = 1_767_225_600.0
WHOSE = {"r1": ["a", "b", "x"], "r2": ["a", "b"], "r3": ["b", "x"]}
NAME = f"dev-{KEY.thumbprint}"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Aggregated]]:
    folder = tmp_path_factory.mktemp("archived")
    return folder, filled(folder, WHOSE)


def on_store(state: Path, work: Callable[[Store], Any]) -> Any:
    async def opened() -> Any:
        store = await open_store(f"sqlite+aiosqlite:///{state / 'ztfm.db'}")
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


@pytest.fixture
def admitted(state: Path, archived: tuple[Path, Mapping[str, Aggregated]]) -> None:
    """The control plane of the rounds that are archived."""

    async def fill(store: Store) -> None:
        for number, (name, done) in enumerate(archived[1].items()):
            opened = Round(
                id=name,
                model=MODEL,
                model_digest=digest(done.before),
                members=["a", "b", "x"],
                opened_by=NAME,
                opens_at=NOW + number,
                closes_at=NOW + 600,
                state="open",
            )
            await store.rounds.add(opened)
            rows = [
                Contribution(
                    round_id=name,
                    subject=one.kept.subject,
                    update_digest=one.kept.update_digest,
                    decision_id=one.kept.decision_id,
                    time=NOW + number,
                )
                for one in done.updates
            ]
            await store._database.write("contribute", lambda connection, rows=rows: add_contributions(connection, rows))

    on_store(state, fill)


@pytest.mark.usefixtures("admitted")
def test_rounds_and_contributions_are_listed(quick: Run) -> None:
    listed = json.loads(quick("rounds", "list", "--json").stdout)["rounds"]
    assert [(one["id"], one["updates"]) for one in listed] == [("r3", 2), ("r2", 2), ("r1", 3)]
    assert json.loads(quick("rounds", "list", "--model", "other", "--json").stdout) == {"rounds": []}
    assert "r2" in quick("rounds", "list").stdout
    of_round = json.loads(quick("rounds", "contributions", "r1", "--json").stdout)["contributions"]
    assert [one["subject"] for one in of_round] == ["a", "b", "x"]
    of_subject = json.loads(quick("rounds", "contributions", "--subject", "x", "--json").stdout)["contributions"]
    assert [one["round_id"] for one in of_subject] == ["r3", "r1"]
    assert "dec-x" in quick("rounds", "contributions", "--subject", "x").stdout
    assert quick("rounds", "contributions").exit_code == 2


@pytest.mark.usefixtures("admitted")
def test_rounds_are_found_by_state_and_time_and_told_with_what_was_dropped(quick: Run, state: Path) -> None:
    on_store(state, lambda store: store.rounds.count_submissions("r2", ["a", "b", "x"]))
    on_store(state, lambda store: store.rounds.count_submissions("r2", ["x"]))

    def listed(*words: str) -> list[tuple[str, int, int]]:
        told = json.loads(quick("rounds", "list", *words, "--json").stdout)["rounds"]
        return [(one["id"], one["accepted"], one["dropped"]) for one in told]

    assert listed("--state", "closed", "--limit", "2") == [("r3", 2, 0), ("r2", 2, 2)]
    assert listed("--state", "open") == []
    assert listed("--since", "2026-01-01T00:00:01Z", "--until", "2026-01-01T00:00:02Z") == [("r2", 2, 2)]
    assert "--since" in quick("rounds", "list", "--help").stdout
    for words, what in ((("--since", "soon"), "neither a date"), (("--model", "a b"), "--model")):
        refused = quick("rounds", "list", *words)
        assert (refused.exit_code, what in refused.stderr) == (2, True)


@pytest.mark.usefixtures("admitted")
def test_a_round_is_shown_with_whose_updates_went_into_it_and_whose_did_not(quick: Run, state: Path) -> None:
    on_store(state, lambda store: store.rounds.count_submissions("r2", ["a", "b", "x"]))
    on_store(state, lambda store: store.rounds.count_submissions("r2", ["x"]))
    told = json.loads(quick("rounds", "show", "r2", "--json").stdout)
    assert (told["round"]["state"], told["round"]["members"]) == ("closed", 3)
    assert [one["subject"] for one in told["accepted"]] == ["a", "b"]
    assert told["dropped"] == [{"subject": "x", "updates": 2}]
    shown = quick("rounds", "show", "r2").stdout
    assert "2 updates accepted, 2 dropped" in shown
    assert "  dropped   x  2 updates" in shown
    assert "why: ztfm rounds verdicts r2" in shown
    nowhere = quick("rounds", "show", "r9")
    assert (nowhere.exit_code, "see `ztfm rounds list`" in nowhere.stderr) == (1, True)


@pytest.mark.usefixtures("admitted")
def test_a_rollback_is_shown_before_it_is_ordered_and_ordered_once(quick: Run, state: Path) -> None:
    wanted = ("rounds", "rollback", "r1", "--without", "x", "--reason", "It planted a backdoor.")
    refused = quick(*wanted)
    assert refused.exit_code == 1
    assert "3 rounds are done again, up to r3" in refused.stdout
    assert "2 updates are left out, 5 are applied again" in refused.stdout
    assert on_store(state, lambda store: store.rollbacks.page()) == []
    assert quick(*wanted, "--json").exit_code == 2
    given = json.loads(quick(*wanted, "--yes", "--json").stdout)
    assert given["is_new"]
    assert given["reaches"] == {"rounds": ["r1", "r2", "r3"], "left_out": 2, "kept": 5}
    ordered = given["rollback"]
    assert (ordered["subjects"], ordered["state"], ordered["decision_id"]) == (["x"], "ordered", "local")
    assert ordered["ordered_by"].startswith("local:")
    assert f"outstanding already: {ordered['id']}" in quick(*wanted, "--yes").stdout
    listed = json.loads(quick("rounds", "rollbacks", "--state", "ordered", "--json").stdout)["rollbacks"]
    assert [one["id"] for one in listed] == [ordered["id"]]


@pytest.mark.usefixtures("admitted")
def test_what_a_rollback_would_reach_is_told_without_a_reason_and_nothing_is_ordered(quick: Run, state: Path) -> None:
    wanted = ("rounds", "rollback", "r1", "--without", "x", "--dry-run")
    told = quick(*wanted, "--json")
    assert json.loads(told.stdout) == {"reaches": {"rounds": ["r1", "r2", "r3"], "left_out": 2, "kept": 5}}
    shown = quick(*wanted)
    assert shown.exit_code == 0
    assert "2 updates are left out, 5 are applied again" in shown.stdout
    assert on_store(state, lambda store: store.rollbacks.page()) == []
    unsaid = quick("rounds", "rollback", "r1", "--without", "x", "--yes")
    assert (unsaid.exit_code, "--reason" in unsaid.stderr) == (2, True)
    assert quick("rounds", "rollback", "r1", "--without", "q", "--dry-run").exit_code == 1


@pytest.mark.usefixtures("admitted")
def test_verdicts_of_a_round_are_told_as_far_as_they_are_on_record(quick: Run, state: Path) -> None:
    on_store(state, lambda store: store.rounds.count_submissions("r2", ["a", "b", "x"]))

    async def decide(store: Store) -> None:
        [given, *_] = await store.contributions.of_round("r2")
        said = record("a", NOW + 1.5, round_id="r2").model_copy(update={"id": given.decision_id})
        dropped = record("x", NOW + 2.0, "deny", "r2")
        await keep(store, said, dropped)

    on_store(state, decide)
    told = json.loads(quick("rounds", "verdicts", "r2", "--json").stdout)["updates"]
    assert [(one["subject"], one.get("outcome")) for one in told] == [("a", "allow"), ("b", "allow"), ("x", "deny")]
    assert told[0]["evidence"]["cosine"] == 0.25
    shown = quick("rounds", "verdicts", "r2").stdout
    assert "r2  a  accepted: watched, p 0.5, evidence 1.5, trust 0.5" in shown
    assert "r2  x  dropped: watched" in shown
    assert "    update_plausible: It deviates." in shown
    after = json.loads(quick("rounds", "verdicts", "r2", "--after", "a", "--limit", "1", "--json").stdout)["updates"]
    assert [one["subject"] for one in after] == ["b"]
    nowhere = quick("rounds", "verdicts", "r9")
    assert (nowhere.exit_code, "see `ztfm rounds list`" in nowhere.stderr) == (1, True)
    assert "no update is on record" in quick("rounds", "verdicts", "r1").output


@pytest.mark.usefixtures("admitted")
def test_what_became_of_a_rollback_is_shown(quick: Run, state: Path) -> None:
    assert "no rollback was ordered" in quick("rounds", "rollbacks").output
    quick("rounds", "rollback", "r2", "--without", "x", "--reason", "why not", "--yes")
    (ordered,) = on_store(state, lambda store: store.rollbacks.page())
    result = RollbackResult(round_id="r2", state="failed", fault="the archive is gone")
    assert on_store(state, lambda store: store.rollbacks.end(ordered.id, result, NOW))
    shown = quick("rounds", "rollbacks").stdout
    assert "failed" in shown
    assert "the archive is gone" in shown


@pytest.mark.usefixtures("admitted")
def test_what_cannot_be_ordered_is_said(quick: Run) -> None:
    reason = ("--reason", "why not", "--yes")
    assert "no round r9" in quick("rounds", "rollback", "r9", "--without", "x", *reason).output
    assert "none of them contributed" in quick("rounds", "rollback", "r1", "--without", "q", *reason).output
    bad = quick("rounds", "rollback", "r1", "--without", "not a name", "--reason", "ä", "--yes")
    assert bad.exit_code == 2
    assert "--without" in bad.output
    assert "--reason" in bad.output


def test_an_archive_is_verified_and_compared_with_what_was_admitted(
    quick: Run, archived: tuple[Path, Mapping[str, Aggregated]], admitted: None
) -> None:
    folder = str(archived[0])
    shown = quick("rounds", "verify", folder, "--compare")
    assert shown.exit_code == 0, shown.output
    assert "3 rounds with 7 updates" in shown.stdout
    assert "every update was admitted" in shown.stdout
    found = json.loads(quick("rounds", "verify", folder, "--signer", NAME, "--json").stdout)
    assert (found["holds"], found["signers"], found["replayed"]) == (True, [NAME], 3)
    other = quick("rounds", "verify", folder, "--signer", "dev-somebody")
    assert other.exit_code == 1
    assert "and should be by dev-somebody" in other.output
    assert quick("rounds", "verify", folder + "-nowhere").exit_code == 2


def test_an_update_that_was_never_admitted_is_a_fault(
    quick: Run, state: Path, archived: tuple[Path, Mapping[str, Aggregated]], admitted: None
) -> None:
    from sqlalchemy import text

    async def forget(store: Store) -> None:
        statement = text("DELETE FROM contributions WHERE round_id = 'r2' AND subject = 'b'")
        await store._database.change("forget", statement)

    on_store(state, forget)
    found = json.loads(quick("rounds", "verify", str(archived[0]), "--compare", "--json").stdout)
    assert found["faults"] == ["round r2: the update of b was not admitted"]


def test_an_order_that_is_done_and_of_which_the_archive_knows_nothing_is_a_fault(
    quick: Run, state: Path, archived: tuple[Path, Mapping[str, Aggregated]], admitted: None
) -> None:
    quick("rounds", "rollback", "r2", "--without", "x", "--reason", "why not", "--yes")
    (ordered,) = on_store(state, lambda store: store.rollbacks.page())
    told = RollbackResult(
        round_id="r2", state="done", model_digest="sha256:" + "1" * 64, rounds=2, left_out=1, fault=""
    )
    assert on_store(state, lambda store: store.rollbacks.end(ordered.id, told, 2 * NOW))
    assert quick("rounds", "verify", str(archived[0])).exit_code == 0
    (fault,) = json.loads(quick("rounds", "verify", str(archived[0]), "--compare", "--json").stdout)["faults"]
    assert ordered.id in fault
    assert "the archive's end was cut off" in fault


def test_a_round_that_differs_from_how_it_was_opened_is_a_fault() -> None:
    opened = Round(
        id="r1",
        model=MODEL,
        model_digest="sha256:" + "0" * 64,
        members=["a"],
        opened_by="agg-2",
        opens_at=NOW,
        closes_at=NOW + 1,
        state="open",
    )
    archived = {"round_id": "r1", "weights_before": "sha256:" + "1" * 64, "updates": []}
    assert differences(archived, opened, [], [NAME]) == [
        "round r1: it was opened for other weights than it begins with",
        "round r1: agg-2 opened it, and somebody else signed",
    ]
    assert differences(archived, None, [], [NAME]) == ["round r1: the control plane knows no such round"]


def test_a_damaged_archive_is_named(quick: Run, archived: tuple[Path, Any], tmp_path: Path) -> None:
    shutil.copytree(archived[0], tmp_path / "damaged")
    (tmp_path / "damaged/entries/00000001/0000.safetensors").write_bytes(b"nothing")
    found = quick("rounds", "verify", str(tmp_path / "damaged"))
    assert found.exit_code == 1
    assert "FAULT round r2" in found.output


def test_a_model_is_rebuilt_beside_the_archive(
    quick: Run, archived: tuple[Path, Mapping[str, Aggregated]], tmp_path: Path
) -> None:
    folder, out = str(archived[0]), tmp_path / "cleaned.safetensors"
    (tmp_path / "key.pem").write_bytes(KEY.to_pem())
    (tmp_path / "key.pem").chmod(0o600)
    words = ("rounds", "rebuild", folder, "--without", "x", "--out", str(out))
    found = json.loads(quick(*words, "--key", str(tmp_path), "--json").stdout)
    state = load_file(out)
    assert equal(state, without(archived[1], ["x"], "r1"))
    assert found["weights"] == digest(state)
    assert found["record"]["answers"][0]["left_out"] == 2
    from adapters.rollback.signing import open_token

    payload, by = open_token(found["signed"], NAME)
    assert (payload, by) == (found["record"], NAME)
    assert "is there already" in quick(*words).output
    shown = quick("rounds", "rebuild", folder, "--out", str(tmp_path / "latest.safetensors"))
    assert digest(archived[1]["r3"].after) in shown.stdout
    nobody = quick("rounds", "rebuild", folder, "--without", "q", "--out", str(tmp_path / "no.safetensors"))
    assert nobody.exit_code == 1
    assert "they contributed nothing" in nobody.output
    with DeltaArchive(archived[0]) as archive:
        assert len(archive.entries) == 3


def test_without_torch_the_command_says_what_to_install(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("controlplane.cli.rounds_archived.import_module", missing)
    found = quick("rounds", "verify", "anywhere")
    assert found.exit_code == 2
    assert "pip install 'ztfm[torch]'" in found.output


def test_a_state_folder_that_is_not_there_is_no_empty_store(quick: Run) -> None:
    found = quick("rounds", "list", "--state-dir", "/nowhere/at/all")
    assert found.exit_code == 1
    assert "no state folder" in found.output
