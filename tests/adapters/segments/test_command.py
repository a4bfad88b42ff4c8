"""The command, in the router's network namespace."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from adapters.enrolment import Identity, make_key, store_identity
from adapters.segments.command import main
from adapters.segments.enforcing import Enforcement
from controlplane.cli.commands import app
from controlplane.contracts.segmentation import GrantTable
from tests.adapters.segments.plant import ADDRESSES, Plant, flow, grant, names, table

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(plant: Plant, enforcement: Enforcement, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command at the router, whose rules are closed, and returns its status and what it said."""
    assert enforcement.rules is not None

    def _command(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = plant.router.call(main, list(map(str, words)))
        said = capsys.readouterr()
        return status, said.out, said.err

    return _command


def written(folder: Path, grants: Iterable[tuple[str, str]], cuts: Iterable[str] = ()) -> Path:
    """A file with a table."""
    made: GrantTable = table([grant(*one) for one in grants], cuts)
    (folder / "table.json").write_text(made.model_dump_json(exclude_none=True))
    return folder / "table.json"


def test_a_plan_shows_what_changes_and_changes_nothing(command: Command, plant: Plant, tmp_path: Path) -> None:
    file = written(tmp_path, [("camera", "gateway")], ["sensor"])
    status, said, _ = command("plan", "--table", file)
    assert status == 0
    assert said.splitlines()[0] == f"! {ADDRESSES['sensor']} is cut off"
    assert said.splitlines()[1].startswith(f"+ {flow('camera', 'gateway')} until ")
    assert plant.reached([flow("camera", "gateway")]) == set()


def test_what_was_applied_is_verified_and_what_somebody_adds_is_told(
    command: Command, plant: Plant, tmp_path: Path
) -> None:
    file = written(tmp_path, [("camera", "gateway"), ("visitor", "aggregator")])
    assert command("verify", "--table", file)[0] == 1
    status, said, _ = command("apply", "--table", file, "--json")
    assert (status, json.loads(said)["flows"]) == (0, 2)
    assert names(plant.reached(plant.everything())) == ["camera -> gateway:8443", "visitor -> aggregator:8443"]
    assert command("verify", "--table", file)[0] == 0
    assert command("plan", "--table", file)[1] == "no change\n"
    plant.router.run("nft", "insert rule inet ztfm forward tcp dport 22 accept")
    status, said, _ = command("verify", "--table", file, "--json")
    assert status == 1
    assert "chain forward has other rules" in json.loads(said)["differences"][0]


def test_a_table_takes_the_place_of_rules_that_are_not_ours(command: Command, plant: Plant, tmp_path: Path) -> None:
    plant.router.run("nft", "add rule inet ztfm forward accept")
    file = written(tmp_path, [("camera", "gateway")])
    assert command("plan", "--table", file)[1].startswith("# chain forward has other rules")
    assert command("apply", "--table", file)[0] == 0
    assert names(plant.reached(plant.everything())) == ["camera -> gateway:8443"]


def test_without_any_rules_a_table_is_applied_and_close_shuts_everything(
    command: Command, plant: Plant, tmp_path: Path
) -> None:
    plant.router.run("nft", "flush", "ruleset")
    assert command("apply", "--table", written(tmp_path, [("camera", "gateway")]))[0] == 0
    assert plant.reached([flow("camera", "gateway"), flow("camera", "models")]) == {flow("camera", "gateway")}
    assert command("close") == (0, "nothing passes\n", "")
    assert plant.reached(plant.everything()) == set()


def test_the_file_that_closes_is_one_that_nft_takes(command: Command, plant: Plant, tmp_path: Path) -> None:
    plant.router.run("nft", "flush", "ruleset")
    _, said, _ = command("close", "--file")
    assert flow("camera", "gateway") in plant.reached([flow("camera", "gateway")])
    plant.router.run("nft", "-f", "-", given=said)
    assert plant.reached(plant.everything()) == set()
    assert command("verify", "--table", written(tmp_path, []))[0] == 0


def test_what_is_reached_is_answered_from_the_kernel(command: Command, tmp_path: Path) -> None:
    command("apply", "--table", written(tmp_path, [("camera", "gateway")]))
    _, said, _ = command("reach", ADDRESSES["camera"], ADDRESSES["gateway"], 8443, "--json")
    assert json.loads(said)["reaches"] is True
    _, said, _ = command("reach", ADDRESSES["camera"], ADDRESSES["aggregator"], 8443)
    assert "does not pass" in said


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"revision": "open"}'])
def test_a_file_that_is_no_table_changes_nothing(command: Command, plant: Plant, tmp_path: Path, content: str) -> None:
    command("apply", "--table", written(tmp_path, [("camera", "gateway")]))
    broken = tmp_path / "broken.json"
    broken.write_text(content)
    status, said, why = command("apply", "--table", broken)
    assert (status, said) == (1, "")
    assert "broken.json is no table of grants" in why
    assert plant.reached([flow("camera", "gateway"), flow("camera", "models")]) == {flow("camera", "gateway")}


def test_ztfm_segments_does_the_same(command: Command, plant: Plant, tmp_path: Path) -> None:
    file = written(tmp_path, [("camera", "gateway")])
    command("apply", "--table", file)

    def _verified() -> Result:
        words = ["segments", "verify", "--file", str(file), "--json"]
        return plant.router.call(lambda: CliRunner().invoke(app, words))

    verified = _verified()
    assert (verified.exit_code, json.loads(verified.output)["verified"]) == (0, True)
    command("close")
    assert (
        plant.router.call(lambda: CliRunner().invoke(app, ["segments", "verify", "--file", str(file)])).exit_code == 1
    )


@pytest.mark.parametrize("what", ["plan", "apply", "verify"])
def test_the_control_plane_is_verified_by_the_authority_that_is_named(tmp_path: Path, what: str) -> None:
    make_key(tmp_path)
    store_identity(tmp_path, Identity(url="https://control.example", id="dev-1", issuer="https://control.example"))
    words = ["segments", what, str(tmp_path), "--control-plane-authority", str(tmp_path / "missing.pem")]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 1
    assert "missing.pem" in told.output
