"""An installation as its people see it: ``ztfm serve`` runs, an author types commands, devices ask over HTTP."""

import json
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import structlog
from click.testing import Result
from typer.testing import CliRunner

from controlplane.jose.keys import DeviceKey
from tests.controlplane.cli.processes import serve
from tests.support import Caller, ControlPlane, Reply, wait_until

SIZE = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}
TAKES_OVER_SECONDS = 10.0
"""Far beyond the second or two that a release takes to decide: the machine may be busy."""


@dataclass
class Author:
    """Whoever types ``ztfm``, within this process: starting Python anew for each command would show nothing more."""

    environment: dict[str, str]

    def tries(self, *arguments: str | Path) -> Result:
        """Run a command to its end, whatever that is."""
        from controlplane.cli.commands import app

        with structlog.testing.capture_logs():
            return CliRunner().invoke(app, list(map(str, arguments)), env=self.environment)

    def __call__(self, *arguments: str | Path, code: int = 0) -> Result:
        """Run ``ztfm policy`` to its end, which must be this one."""
        done = self.tries("policy", *arguments)
        where = "".join(traceback.format_exception(done.exception)) if done.exception else ""
        assert done.exit_code == code, (arguments, done.exit_code, done.stdout, done.stderr, where)
        return done

    def says(self, *arguments: str | Path, code: int = 0) -> Any:
        """Return the JSON object that a command prints."""
        return json.loads(self(*arguments, "--json", code=code).stdout)


@dataclass
class Installation:
    """A control plane that is a process of its own, with the site's policies beside the base's."""

    state: Path
    author: Author
    _processes: ExitStack = field(default_factory=ExitStack)
    _web: ControlPlane | None = None

    def start(self) -> None:
        """Start it, or start it again; who is enrolled stays so."""
        self.scratch.mkdir(exist_ok=True)
        # Each start finds a free port of its own.
        self.author.environment.pop("ZTFM_PUBLIC_URL", None)
        environment = {**self.author.environment, "TMPDIR": str(self.scratch)}
        _, line = self._processes.enter_context(serve(self.state, **environment))
        # What needs the application's insides is not used here: there is a process boundary in between.
        self._web = ControlPlane(cast("Any", None), line["url"], self.state, cast("Any", None), time.time)
        self.author.environment["ZTFM_PUBLIC_URL"] = line["url"]

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._processes.close()

    @property
    def scratch(self) -> Path:
        """Where it puts temporary files."""
        return self.state.parent / "scratch"

    @property
    def web(self) -> ControlPlane:
        """What answers over HTTP."""
        assert self._web is not None
        return self._web

    def enrol(self, role: str, segment: str) -> Caller:
        """Enrol a device with a token that somebody issues at the terminal."""
        issued = self.author.tries("tokens", "issue", "--role", role, "--segment", segment, "--json")
        [token] = json.loads(issued.stdout)["tokens"]
        key = DeviceKey.generate()
        document = {"token": token, "roles": [role], "segment": segment}
        return Caller(self.web, key, self.web.call("POST", "/v1/devices", document, key=key).expect(201)["id"])

    def again(self, caller: Caller) -> Caller:
        """Return a caller as it reaches a control plane that was started again."""
        return Caller(self.web, caller.key, caller.id)

    def ready(self) -> Any:
        """Return what ``/readyz`` says while all is well."""
        found = self.web.call("GET", "/readyz").expect(200)
        assert found["ready"] is True
        return found

    def layer(self, name: str) -> Any:
        """Return what ``/readyz`` says of a layer."""
        return {item["layer"]: item for item in self.ready()["policies"]}[name]

    def decides_by(self, revision: str, layer: str = "base") -> None:
        """Wait until a revision decides; then say the same by every way that tells of it."""
        wanted = {"active_revision": revision, "released_revision": revision, "refused": None}
        wait_until(lambda: self.layer(layer).items() >= wanted.items(), TAKES_OVER_SECONDS, f"{revision} decides")
        found = self.layer(layer)
        assert 0.0 <= found["age_seconds"] < 300.0
        assert revision in self.ready()["policy_revision"]
        status = {item["layer"]: item for item in self.author.says("status")["layers"]}[layer]
        assert (status["active_revision"], status["release"]["revision"]) == (revision, revision)
        assert abs(status["age_seconds"] - found["age_seconds"]) < 60.0

    @contextmanager
    def unchanged(self, heads: bool = True) -> Iterator[None]:
        """What happens meanwhile changes nothing: neither what is released, unless told so, nor what decides."""
        before, released = self.ready()["policy_revision"], self.heads()
        yield
        assert self.ready()["policy_revision"] == before
        assert not heads or self.heads() == released

    def heads(self) -> dict[str, tuple[int, str, str]]:
        """Return sequence, revision and digest of each layer's newest release, as the database has them."""
        query = "SELECT layer, max(sequence), revision, digest FROM policy_releases GROUP BY layer"
        with self.database() as database:
            return {layer: tuple(row) for layer, *row in database.execute(query)}  # type: ignore[misc]

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open the store's file past every check."""
        database = sqlite3.connect(self.state / "ztfm.db", timeout=10)
        try:
            with database:
                yield database
        finally:
            database.close()


def infer(device: Caller) -> Reply:
    """Ask for an inference."""
    return device.capability("inference", audience="gateway-1", **SIZE)


def codes(denied: Reply) -> list[str]:
    """Return the codes of a denial."""
    return [reason["code"] for reason in denied.expect(403)["reasons"]]


@dataclass
class Traffic:
    """A device that asks all day. Whatever is no allowance is a fault."""

    device: Caller
    revisions: list[str] = field(default_factory=list)
    faults: list[object] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator["Traffic"]:
        """Ask until the block is left; nothing may have gone wrong by then."""
        stop = threading.Event()

        def ask() -> None:
            while not stop.wait(0.05):
                try:
                    answer = infer(self.device)
                    self.revisions.append(answer.expect(201)["policy_revision"])
                except (AssertionError, OSError) as fault:
                    self.faults.append(fault)

        thread = threading.Thread(target=ask, name="traffic")
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()
        assert self.faults == []
        assert self.revisions


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=2) + "\n")
