"""The command line explains itself, finds what is missing, and needs no torch."""

import json
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from click.testing import Result

from controlplane.cli.commands import COMMANDS, app
from controlplane.cli.doctor import examine
from controlplane.settings import Settings

Run = Callable[..., subprocess.CompletedProcess[str]]
Quick = Callable[..., Result]


def test_help_lists_the_commands(quick: Quick) -> None:
    done = quick("--help")
    assert done.exit_code == 0
    for command in ("serve", "doctor", "demo", "tokens"):
        assert command in done.stdout


def _commands() -> list[tuple[str, ...]]:
    """Return every command and every group of them."""

    def below(command: Any, name: tuple[str, ...]) -> list[tuple[str, ...]]:
        if not isinstance(command, click.Group):
            return [name]
        context = click.Context(command)
        words = command.list_commands(context)
        return [name, *(found for word in words for found in below(command.get_command(context, word), (*name, word)))]

    return below(typer.main.get_command(app), ())


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_help_has_an_example_and_every_command_speaks_json(quick: Quick, words: tuple[str, ...]) -> None:
    shown = quick(*words, "--help").stdout
    assert re.search(rf"Example: +ztfm {' '.join(words)}", " ".join(shown.split()))
    if "COMMAND [ARGS]" not in shown:
        assert "--json" in shown


def test_the_list_of_commands_says_what_each_says_of_itself_and_imports_none_of_them(quick: Quick) -> None:
    listed = " ".join(quick("--help").stdout.replace("\u2502", " ").split())
    for entry in COMMANDS:
        found = entry.load()
        said = found.info.help if isinstance(found, typer.Typer) else found.__doc__
        assert str(said).partition("\n")[0].strip() == entry.summary
        assert f"{entry.name} {entry.summary}" in listed
    steps = (
        "from controlplane.cli.commands import app",
        "app(['--help'], standalone_mode=False)",
        "print(*sys.modules)",
    )
    probe = "\n".join(("import sys", *steps))
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert {"aiohttp", "sqlalchemy", "controlplane.settings"}.isdisjoint(done.stdout.split())


def test_without_a_command_it_shows_its_help(quick: Quick) -> None:
    done = quick()
    assert "Usage" in done.stdout + done.stderr


def test_doctor_finds_everything_that_serving_needs(ztfm: Run) -> None:
    done = ztfm("doctor", "--json")
    report = json.loads(done.stdout)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert done.returncode == 0, found
    assert report["ok"] is True
    assert found["OPA"]["ok"]
    assert found["policies"]["found"].startswith("revision ")


def test_doctor_says_what_is_missing_and_how_to_get_it(quick: Quick, tmp_path: Path) -> None:
    done = quick("doctor", "--json", OPA_BIN="/no/such/opa")
    assert done.exit_code == 1
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert not found["OPA"]["ok"]
    assert "OPA_BIN" in found["OPA"]["remedy"]
    table = quick("doctor", OPA_BIN="/no/such/opa")
    assert table.exit_code == 1
    assert "missing" in table.stdout


def test_doctor_wants_no_opa_where_the_embedded_engine_was_chosen(quick: Quick) -> None:
    done = quick("doctor", "--json", OPA_BIN="/no/such/opa", ZTFM_ENGINE="embedded")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 0, done.stdout
    assert (found["OPA"]["ok"], found["OPA"]["needed"]) == (False, False)
    assert (found["embedded engine"]["ok"], found["embedded engine"]["needed"]) == (True, True)
    assert found["policies"]["found"].endswith("compiled")


def test_doctor_names_broken_policies_a_taken_port_and_a_bad_folder(broken: Path, tmp_path: Path) -> None:
    import socket

    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(policies=broken, listen_port=taken.getsockname()[1], state_dir=tmp_path / "file" / "state")
        found = {finding.name: finding for finding in examine(settings)}
    for name in ("policies", "port", "state folder"):
        assert not found[name].ok
        assert found[name].remedy
    (tmp_path / "new").mkdir()
    fresh = {finding.name: finding for finding in examine(Settings(state_dir=tmp_path / "a" / "b" / "c"))}
    assert fresh["state folder"].ok


@pytest.mark.parametrize("is_ready", [True, False])
def test_doctor_tells_a_control_plane_that_serves_from_a_taken_port(tmp_path: Path, is_ready: bool) -> None:
    class Serving(BaseHTTPRequestHandler):
        """Stands for a control plane in one of two states; tests/controlplane/cli/test_serve.py has a real one."""

        def version_string(self) -> str:
            return "ztfm"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self.send_response(200 if is_ready else 503)
            self.end_headers()
            checks = {"opa": "ok" if is_ready else "unreachable", "store": "ok"}
            self.wfile.write(json.dumps({"ready": is_ready, "checks": checks}).encode())

    with HTTPServer(("127.0.0.1", 0), Serving) as server:
        threading.Thread(target=server.handle_request).start()
        found = {item.name: item for item in examine(Settings(listen_port=server.server_port, state_dir=tmp_path))}
    assert found["port"].ok is is_ready
    assert "serves there" in found["port"].found
    assert ("opa: unreachable" in found["port"].found) is not is_ready
    assert bool(found["port"].remedy) is not is_ready


def test_tokens_are_issued_once_shown_once_and_kept_as_hashes(quick: Quick, state: Path) -> None:
    done = quick(
        "tokens", "issue", "--role", "trainer", "--role", "consumer", "--segment", "homes", "--count", "3", "--json"
    )
    assert done.exit_code == 0, done.stderr
    issued = json.loads(done.stdout)
    assert len(set(issued["tokens"])) == 3
    assert issued["roles"] == ["trainer", "consumer"]
    kept = (state / "ztfm.db").read_bytes()
    assert not [token for token in issued["tokens"] if token.encode() in kept]
    with sqlite3.connect(state / "ztfm.db") as database:
        assert database.execute("SELECT count(*) FROM enrolment_tokens").fetchone() == (3,)
    plain = quick("tokens", "issue", "--role", "trainer", "--segment", "homes")
    assert re.fullmatch(r"ztfm-enrol-[A-Za-z0-9_-]{43}\n", plain.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--role", "Not A Role", "--segment", "homes"],
        ["--role", "trainer", "--segment", "NOT"],
        ["--role", "trainer", "--segment", "homes", "--count", "0"],
        ["--role", "trainer", "--segment", "homes", "--lifetime", "1"],
        ["--role", "trainer"],
        [],
    ],
)
def test_tokens_that_nobody_could_use_are_not_issued(quick: Quick, arguments: list[str]) -> None:
    done = quick("tokens", "issue", *arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("role", "segment", "said"),
    [
        (
            "admin",
            "core",
            "--role: there is no role 'admin'; did you mean administrator? By data/roles there are admin",
        ),
        ("trainr", "homes", "did you mean trainer?"),
        ("zz", "homes", "--role: there is no role 'zz'. By data/roles there are administrator, aggregator, "),
        ("trainer", "hoems", "--segment: there is no segment 'hoems'; did you mean homes? By data/segments there are "),
        ("trainer", "core", "--role: trainer has no place in core, by data/segments; it takes administrator, "),
    ],
)
def test_a_role_that_no_policy_knows_gets_no_token_and_the_nearest_is_named(
    quick: Quick, state: Path, role: str, segment: str, said: str
) -> None:
    done = quick("tokens", "issue", "--role", role, "--segment", segment)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    with sqlite3.connect(state / "ztfm.db") as database:
        assert database.execute("SELECT count(*) FROM enrolment_tokens").fetchone() == (0,)


def test_the_roles_of_a_folder_of_policies_count_where_one_is_named(quick: Quick, tmp_path: Path) -> None:
    ask = ("tokens", "issue", "--role", "welder", "--segment", "homes")
    assert quick(*ask).exit_code == 2
    for name, document in {"roles": {"welder": {}}, "segments": {"homes": {"roles": {"welder": True}}}}.items():
        (tmp_path / "own" / "data" / name).mkdir(parents=True)
        (tmp_path / "own" / "data" / name / "data.json").write_text(json.dumps(document))
    done = quick(*ask, "--policies", str(tmp_path / "own"))
    assert done.exit_code == 0, done.stderr
    assert (
        quick(
            "tokens", "issue", "--role", "trainer", "--segment", "homes", "--policies", str(tmp_path / "own")
        ).exit_code
        == 2
    )


def test_where_no_policies_can_be_read_no_token_is_issued(quick: Quick, tmp_path: Path) -> None:
    done = quick("tokens", "issue", "--role", "trainer", "--segment", "homes", "--policies", str(tmp_path / "none"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "cannot be read; name their folder with --policies" in done.stderr


def test_tokens_for_a_folder_that_no_control_plane_can_run_on_yet_come_with_a_warning(
    quick: Quick, state: Path
) -> None:
    ask = ("tokens", "issue", "--role", "trainer", "--segment", "homes", "--state-dir", str(state / "typo"))
    first, second = quick(*ask), quick(*ask)
    assert (first.exit_code, second.exit_code, second.stderr) == (0, 0, "")
    assert "--state-dir" in first.stderr
    assert str(state / "typo") in first.stderr
    assert first.stdout.startswith("ztfm-enrol-")


def test_tokens_need_a_store(quick: Quick) -> None:
    done = quick(
        "tokens", "issue", "--role", "a", "--segment", "b", ZTFM_DATABASE_URL="sqlite+aiosqlite:////proc/no/db"
    )
    assert done.exit_code == 1
    assert "could not" in done.stderr
    assert "Traceback" not in done.stderr


BLOCKED = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def python(blocked: set[str], program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED.format(blocked=blocked) + program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


HEAVY = {"torch", "flwr", "ray", "transformers", "numpy", "matplotlib", "hassil", "home_assistant_intents"}


def test_the_control_plane_imports_without_torch_and_what_comes_with_it() -> None:
    done = python(HEAVY, "import controlplane.app\nimport controlplane.cli.serve\n")
    assert done.returncode == 0, done.stderr


def test_the_command_works_without_the_demo_s_packages() -> None:
    done = python(HEAVY, "import sys\nsys.argv = ['ztfm', '--help']\nfrom controlplane.cli import main\nmain()\n")
    assert done.returncode == 0, done.stderr
    assert "serve" in done.stdout
    done = python(HEAVY, "import sys\nsys.argv = ['ztfm', 'demo']\nfrom controlplane.cli import main\nmain()\n")
    assert done.returncode != 0
    assert "ztfm[demo]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_embedded_engine_s_packages_are_wanted_only_where_it_was_chosen(tmp_path: Path) -> None:
    without = HEAVY | {"opapywasm", "wasmtime"}
    code = "import controlplane.app\nfrom controlplane.cli import main\nimport sys\n"
    arguments = ["ztfm", "serve", "--engine", "embedded", "--workers", "1", "--port", "0", "--state-dir", str(tmp_path)]
    done = python(without, f"{code}sys.argv = {arguments!r}\nmain()\n")
    assert done.returncode == 1
    assert "ztfm[server,embedded]" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_server_extra_it_says_how_to_get_it() -> None:
    done = python({"typer"}, "import sys\nsys.argv = ['ztfm', 'serve']\nfrom controlplane.cli import main\nmain()\n")
    assert done.returncode == 1
    assert "ztfm[server]" in done.stderr
    assert "Traceback" not in done.stderr
