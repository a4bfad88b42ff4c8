"""What the workbench says of a folder is what the authors' commands say of it; and hostile policies get nowhere."""

import asyncio
import contextlib
import http.server
import json
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from controlplane.authoring.errors import NoPolicyTools
from controlplane.bundles import BundleRefused, read_archive
from controlplane.bundles.layout import MANIFEST
from controlplane.cli.commands import app
from controlplane.history.workbench.trials import Bounds, Trials, TrialTools
from controlplane.sidecar import OpaNotFound

ONE = "ztfm/one/policy.rego"
TEST = "ztfm/one/policy_test.rego"
FOUND = ("path", "line", "code", "message", "remedy")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tries have their folders; a short name, for a Unix socket's has a hundred bytes at most."""
    made = Path(tempfile.mkdtemp(prefix="t"))
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def tried(trials: Trials, work: str, folder: Path, **told: Any) -> Any:
    return await trials.run(work, files_of(folder), {"checks": [], "layer": "base", **told})


def command(folder: Path, *arguments: str) -> Any:
    said = CliRunner().invoke(app, ["policy", *arguments, "--policies", str(folder), "--json"])
    return json.loads(said.stdout)


def commands_findings(said: Mapping[str, Any], folder: Path) -> list[tuple[Any, ...]]:
    """Return the findings of a command as the workbench names files: within the folder."""
    root = f"{folder}/"
    return [
        (
            Path(one["file"]).relative_to(folder).as_posix(),
            one["line"],
            one["check"],
            one["message"].replace(root, ""),
            one["remedy"].replace(root, ""),
        )
        for one in said["findings"]
    ]


def findings(said: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(one[name] for name in FOUND) for one in said["findings"]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {ONE: "package ztfm.one\n\nenough if input.amount >= ten\n"},
        {ONE: "package ztfm.one\n\nenough if {\n"},
        {ONE: "package ztfm.elsewhere\nenough if input.amount >= 10\n", "data/limits/data.json": "{no json"},
    ],
    ids=["whole", "unsafe", "unparsed", "misplaced"],
)
async def test_a_check_finds_what_the_command_finds(trials: Trials, small: Path, changes: dict[str, str]) -> None:
    for name, text in changes.items():
        (small / name).parent.mkdir(parents=True, exist_ok=True)
        (small / name).write_text(text)
    said, told = await tried(trials, "check", small), command(small, "check")
    assert findings(said) == commands_findings(told, small)
    assert said["skipped"] == told["skipped"]
    assert said["left_out"] == 0


async def test_an_error_of_opas_is_told_at_its_line_and_column(trials: Trials, small: Path) -> None:
    (small / ONE).write_text("package ztfm.one\n\nenough if {\n\tinput.amount >= 10\n\tunheard_of\n}\n")
    said = await tried(trials, "check", small, checks=["compile"])
    [found] = said["findings"]
    assert (found["path"], found["line"], found["column"], found["code"]) == (ONE, 5, 2, "compile")
    assert (found["severity"], found["message"]) == ("error", "var unheard_of is unsafe")


async def test_named_checks_are_done_alone(trials: Trials, small: Path) -> None:
    (small / ONE).write_text("package ztfm.one\nenough   if input.amount >= 10\n")
    said = await tried(trials, "check", small, checks=["format"])
    assert {one["code"] for one in said["findings"]} == {"format"}
    with pytest.raises(BundleRefused, match="there is no check 'beauty'"):
        await tried(trials, "check", small, checks=["beauty"])


async def test_tests_and_their_coverage_are_those_of_the_command(trials: Trials, small: Path) -> None:
    spare = '\nspare if {\n\tinput.action.name == "spare"\n}\n'
    (small / ONE).write_text((small / ONE).read_text() + spare)
    said, told = await tried(trials, "test", small), command(small, "test")
    assert (said["passed"], said["failed"], said["examples"]) == (told["tests"], 0, told["examples"])
    assert (said["shares"], findings(said)) == (told["coverage"], commands_findings(told, small))
    lines = said["coverage"][ONE]
    assert (lines["covered"], lines["not_covered"]) == ([[3, 3]], [[5, 6]])
    assert TEST not in said["coverage"]
    assert {(one["path"], one["outcome"]) for one in said["tests"]} >= {(TEST, "passed")}


async def test_a_test_that_does_not_hold_comes_first_with_its_place(trials: Trials, small: Path) -> None:
    (small / TEST).write_text((small / TEST).read_text() + "\ntest_eight_is_enough if one.enough with input as {}\n")
    said, told = await tried(trials, "test", small), command(small, "test")
    assert findings(said) == commands_findings(told, small)
    first = said["tests"][0]
    assert (first["name"], first["package"], first["outcome"]) == ("test_eight_is_enough", "ztfm.one_test", "failed")
    assert (small / TEST).read_text().splitlines()[first["line"] - 1].startswith("test_eight_is_enough")
    assert (said["failed"], said["coverage"]) == (1, {})


async def test_a_bundle_is_that_of_the_command_and_always_the_same(trials: Trials, small: Path, tmp_path: Path) -> None:
    batch = small / "ztfm/batch/batch.rego"
    batch.parent.mkdir()
    batch.write_text("package ztfm.batch\n\ndecisions := {}\n")
    built = tmp_path / "base.tar.gz"
    told = command(small, "build", "--unsigned", "--out", str(built))
    first, second = await tried(trials, "bundle", small), await tried(trials, "bundle", small)
    assert first == second
    assert first["revision"] == told["revision"]
    assert b64decode(first["bundle"]) == built.read_bytes()
    assert MANIFEST in read_archive(built.read_bytes())


SENDING = 'package ztfm.one\n\nenough if http.send({"method": "get", "url": input.url}).status_code == 200\n'


@pytest.fixture
def listening() -> Iterator[tuple[str, list[str]]]:
    """A server that nobody may ask, and what it was asked."""
    asked: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


async def test_rules_that_ask_the_network_are_told_and_never_run(
    trials: Trials, small: Path, listening: tuple[str, list[str]]
) -> None:
    url, asked = listening
    (small / ONE).write_text(SENDING.replace("input.url", json.dumps(url)))
    said = await tried(trials, "check", small, checks=["compile"])
    assert [(one["path"], one["line"]) for one in said["findings"]] == [(ONE, 3)]
    assert "http.send asks the network" in said["findings"][0]["message"]
    document = {"id": "dec-1", "package": "one", "document": "{}"}
    for work in ("test", "evaluate", "replay", "bundle"):
        with pytest.raises(BundleRefused) as refused:
            await tried(trials, work, small, **document)
        assert (refused.value.reason, f"{ONE}:3" in refused.value.detail) == ("does_not_compile", True), work
    assert asked == []


async def test_a_schema_that_lies_elsewhere_is_not_fetched(
    trials: Trials, small: Path, listening: tuple[str, list[str]]
) -> None:
    url, asked = listening
    metadata = f'# METADATA\n# schemas:\n#   - input: {{"$ref": "{url}/schema"}}\n'
    (small / ONE).write_text(f"package ztfm.one\n\n{metadata}enough if input.amount >= 10\n")
    said = await tried(trials, "check", small, checks=["compile"])
    assert [(one["path"], one["code"]) for one in said["findings"]] == [(ONE, "compile")]
    for work in ("test", "replay", "bundle"):
        with pytest.raises(BundleRefused, match="outside of it"):
            await tried(trials, work, small)
    assert asked == []


MODULE = "controlplane.history.workbench"

MANY = """package ztfm.one

digits := {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

enough if count([[a, b, c, d, e, f, g, h] |
	some a in digits
	some b in digits
	some c in digits
	some d in digits
	some e in digits
	some f in digits
	some g in digits
	some h in digits
]) > 0
"""
"""A hundred million lists."""


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(processor_seconds=2, seconds=120.0),
        Bounds(processor_seconds=100, seconds=6.0),
        Bounds(processor_seconds=100, seconds=120.0, memory_bytes=300 * 1024**2),
    ],
    ids=["processor", "time", "memory"],
)
async def test_what_would_never_end_is_ended(tools: TrialTools, small: Path, place: Path, bounds: Bounds) -> None:
    (small / ONE).write_text(MANY)
    trials = Trials(tools, {"test": bounds})
    with pytest.raises(BundleRefused) as refused:
        await tried(trials, "test", small)
    assert refused.value.reason == "cannot_be_checked"
    assert names(place) == []


async def running(trying: asyncio.Task[Any]) -> list[psutil.Process]:
    """Return the processes of a try whose OPA runs the tests; others of this process are somebody else's."""
    while True:
        tries = [one for one in with_command(psutil.Process().children()) if MODULE in one.info["cmdline"]]
        begun = [*tries, *(child for one in tries for child in children_of(one))]
        if any("test" in one.info["cmdline"] for one in with_command(begun)):
            return begun
        done, _ = await asyncio.wait({trying}, timeout=0.05)
        assert not done, trying.exception()


def children_of(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def with_command(begun: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run, each with its command line."""
    found = []
    for one in begun:
        with contextlib.suppress(psutil.Error):
            one.info = {"cmdline": one.cmdline()}
            found.append(one)
    return found


async def test_nothing_is_left_of_a_try_that_nobody_waits_for(trials: Trials, small: Path, place: Path) -> None:
    (small / ONE).write_text(MANY)
    trying = asyncio.create_task(tried(trials, "test", small))
    begun = await running(trying)
    [name] = names(place)
    assert (place / name / "policies" / ONE).is_file()
    assert (place / name).stat().st_mode & 0o077 == 0
    trying.cancel()
    await asyncio.wait({trying})
    _, alive = psutil.wait_procs(begun, timeout=10)
    assert (alive, names(place)) == ([], [])


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13, 21])
async def test_a_try_that_is_ended_at_once_leaves_no_file(trials: Trials, small: Path, place: Path, steps: int) -> None:
    files = files_of(small) | {f"ztfm/many/f{number}.rego": b"package ztfm.many\n" for number in range(500)}
    await trials._located()
    trying = asyncio.create_task(trials.run("test", files, {"layer": "base"}))
    for _ in range(steps):
        # As far as it comes: a thread may write meanwhile.
        await asyncio.sleep(0.002)
    trying.cancel()
    await asyncio.wait({trying})
    assert names(place) == []


async def test_a_try_knows_nothing_of_its_parents_environment(
    trials: Trials, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZTFM_DATABASE_URL", "postgresql://a-secret")
    (small / ONE).write_text(MANY)
    trying = asyncio.create_task(tried(trials, "test", small))
    looked_at = 0
    for one in await running(trying):
        with contextlib.suppress(psutil.Error):
            names = one.environ()
            looked_at += 1
            assert not any(name.startswith("ZTFM_") for name in names)
    assert looked_at >= 2
    trying.cancel()
    await asyncio.wait({trying})


@pytest.mark.parametrize("work", ["check", "test", "bundle"])
async def test_what_is_no_text_is_refused_in_words(trials: Trials, small: Path, work: str) -> None:
    files = {**files_of(small), ONE: b'package ztfm.one\n\nenough if input.name == "\xff"\n'}
    with pytest.raises(BundleRefused) as refused:
        await trials.run(work, files, {"checks": ["compile"], "layer": "base"})
    assert refused.value.reason in {"does_not_compile", "cannot_be_checked"}


async def test_a_name_that_no_folder_can_hold_is_refused(trials: Trials) -> None:
    with pytest.raises(BundleRefused, match="cannot be written"):
        await trials.run("check", {"a.rego": b"", "a.rego/b.rego": b""}, {"checks": [], "layer": "base"})


async def test_a_folder_without_policies_says_so(trials: Trials) -> None:
    with pytest.raises(BundleRefused, match="the policies holds no policies"):
        await trials.run("check", {"README.md": b"nothing"}, {"checks": [], "layer": "base"})


async def test_without_an_opa_it_is_said_how_to_get_one(small: Path) -> None:
    def missing() -> Any:
        raise OpaNotFound(["PATH: no opa"])

    trials = Trials(TrialTools(missing, lambda: None))
    with pytest.raises(NoPolicyTools, match="set OPA_BIN"):
        await tried(trials, "check", small)


async def test_without_a_linter_it_is_said_that_nothing_was_linted(tools: TrialTools, small: Path) -> None:
    said = await tried(Trials(TrialTools(tools.opa, lambda: None)), "check", small)
    assert said["skipped"] == {"lint": "regal is not installed here"}
    assert not any(one["code"].startswith("lint:") for one in said["findings"])
