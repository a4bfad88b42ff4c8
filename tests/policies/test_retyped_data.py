"""A bound that is no number bounds nothing, so it must let nothing through: each number of the data is changed.

What `policy check` refuses before it is published could still be signed by whoever leaves the checks out.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from controlplane.sidecar import OpaBinary
from tests.policies.support import POLICIES
from tests.policies.test_mutations import ALLOWED, BATCH, changed, data, places, values_at

FILES = ("enrolment", "limits", "resources", "roles")
MORE_FILES = ("alerts", "attestation", "budgets", "confidentiality", "content", "privacy", "secrets", "segmentation")
OTHERS: tuple[Any, ...] = ("x", None)
ALL_OTHERS: tuple[Any, ...] = (*OTHERS, True, [], {})
BEYOND = (1e30, -1e30, 0)
EVERY = bool(os.environ.get("ZTFM_EVERY_BIT"))


class Opa:
    """OPA over the rules alone; the data are put there, and changed."""

    def __init__(self, binary: Path, folder: Path) -> None:
        rules, self._socket = folder / "rules", folder / "opa.sock"
        for path in POLICIES.rglob("*.rego"):
            if not path.name.endswith("_test.rego"):
                target = rules / path.relative_to(POLICIES)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        listen = ("--log-level", "error", "--addr", f"unix://{self._socket}")
        self._process = subprocess.Popen(
            [str(binary), "run", "--server", *listen, str(rules)], stderr=subprocess.DEVNULL
        )
        self._line = HTTPConnection("opa")
        try:
            self._connect()
            for kept in (POLICIES / "data").iterdir():
                self.put(kept.name, data(kept.name))
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self._socket))
            except OSError:
                line.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                self._line.sock = line
                return

    def put(self, name: str, document: Any) -> None:
        self._call("PUT", f"/v1/data/data/{name}", document)

    def allowed(self, questions: dict[str, tuple[str, Any]]) -> dict[str, Any]:
        """Return the decisions that allow, by question; one that fails as a whole allows nothing."""
        routed: dict[str, dict[str, Any]] = {}
        for name, (package, facts) in questions.items():
            routed.setdefault(package, {})[name] = facts
        found = self._call("POST", "/v1/data/ztfm/batch", {"input": routed})
        decisions = found.get("result", {}).get("decisions", {})
        return {name: one for name, one in decisions.items() if one["allow"]}

    def decisions(self, questions: dict[str, tuple[str, Any]]) -> dict[str, Any]:
        routed: dict[str, dict[str, Any]] = {}
        for name, (package, facts) in questions.items():
            routed.setdefault(package, {})[name] = facts
        return dict(self._call("POST", "/v1/data/ztfm/batch", {"input": routed})["result"]["decisions"])

    def _call(self, method: str, path: str, document: Any) -> Any:
        self._line.request(method, path, json.dumps(document), {"Content-Type": "application/json"})
        answer = self._line.getresponse()
        body = answer.read()
        assert answer.status < 300, body
        return json.loads(body) if body else {}

    def close(self) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def plain(opa: OpaBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opa]:
    plain = Opa(opa.path, tmp_path_factory.mktemp("opa"))
    yield plain
    plain.close()


@pytest.fixture(scope="module")
def beyond(plain: Opa) -> dict[str, tuple[str, Any]]:
    """Questions that are denied for one reason, for a number is too large or too small: of each reason and side one."""
    kept: dict[tuple[str, str, bool], tuple[str, Any]] = {}
    for example in ALLOWED:
        if example.package == "alert" or example.package.startswith("extra/"):
            # Whoever tells of an alert that is not answered gets nothing, allowed or not.
            continue
        asked = {
            f"{'.'.join(map(str, path))} {value}": (example.package, changed(example.input, path, value))
            for path in places(example.input)
            if isinstance(values_at(example.input, path), int | float)
            and not isinstance(values_at(example.input, path), bool)
            for value in BEYOND
        }
        names = list(asked)
        for start in range(0, len(names), BATCH):
            for name, one in plain.decisions({name: asked[name] for name in names[start : start + BATCH]}).items():
                codes = [reason["code"] for reason in one["reasons"]]
                if len(codes) == 1:
                    package = example.package if codes[0].endswith("_budget") else ""
                    kept.setdefault((package, codes[0], name.endswith(" 1e+30")), asked[name])
    return {f"{code} {is_much} {package}": one for (package, code, is_much), one in kept.items()}


def numbers(document: Any) -> list[tuple[str | int, ...]]:
    return [
        path
        for path in places(document)
        if isinstance(found := values_at(document, path), int | float) and not isinstance(found, bool)
    ]


@pytest.mark.parametrize("name", (*FILES, *MORE_FILES) if EVERY else FILES)
def test_what_is_beyond_a_bound_stays_out_whatever_the_bound_is_made_of(
    plain: Opa, beyond: dict[str, tuple[str, Any]], name: str
) -> None:
    document, opened = data(name), set()
    try:
        for path in numbers(document):
            for other in ALL_OTHERS if EVERY else OTHERS:
                plain.put(name, changed(document, path, other))
                opened |= {(".".join(map(str, path)), repr(other), asked) for asked in plain.allowed(beyond)}
    finally:
        plain.put(name, document)
    assert sorted(opened) == []


def test_there_are_questions_of_every_kind_and_none_is_allowed(plain: Opa, beyond: dict[str, tuple[str, Any]]) -> None:
    assert plain.allowed(beyond) == {}
    named = {name.split()[0] for name in beyond}
    assert named > {"update_bounded", "update_plausible", "requests_within_budget", "credential_fresh", "window_open"}
