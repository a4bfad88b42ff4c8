"""OPA is got in a fixed order, and a binary whose digest is not the pinned one is not kept."""

import hashlib
import json
import platform
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controlplane.sidecar import OpaNotFound
from controlplane.sidecar import install as installing
from controlplane.sidecar.install import build_from_module, download_release, install, main
from controlplane.sidecar.locate import read_version

PLATFORM = f"{platform.system().lower()}_{platform.machine().lower()}"
SCRIPT = b"#!/bin/sh\necho 'Version: 1.22.2'\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A server with one file, `opa`."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "opa").write_bytes(SCRIPT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pins(tmp_path: Path, url: str, sha256: str) -> Path:
    path = tmp_path / "release.json"
    path.write_text(json.dumps({"platforms": {PLATFORM: {"url": url, "sha256": sha256}}}))
    return path


def test_without_opa_the_embedded_engine_is_enough_where_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPA_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(installing, "tools_folder", lambda: tmp_path)
    monkeypatch.setattr(installing, "download_release", lambda *_: "no network")
    monkeypatch.setattr("sys.argv", ["install"])
    assert main() == 1
    monkeypatch.setattr("sys.argv", ["install", "--or-embedded"])
    assert main() == 0
    said = capsys.readouterr().err
    assert "Go is not installed" in said
    assert "ztfm serve --engine embedded" in said
    monkeypatch.setenv("OPA_BIN", str(tmp_path / "opa"))
    assert main() == 1


def test_a_release_with_the_pinned_digest_is_kept(tmp_path: Path, site: str) -> None:
    destination = tmp_path / "tools" / "opa"
    release = pins(tmp_path, f"{site}/opa", hashlib.sha256(SCRIPT).hexdigest())
    assert download_release(destination, release) is None
    assert read_version(destination) == (1, 22, 2)


def test_a_release_with_another_digest_is_not_kept(tmp_path: Path, site: str) -> None:
    destination = tmp_path / "tools" / "opa"
    reason = download_release(destination, pins(tmp_path, f"{site}/opa", "0" * 64))
    assert reason is not None
    assert "SHA-256" in reason
    assert not destination.exists()
    assert not destination.parent.exists() or list(destination.parent.iterdir()) == []


def test_a_release_that_is_not_there_is_said(tmp_path: Path, site: str) -> None:
    assert "could not be fetched" in str(download_release(tmp_path / "opa", pins(tmp_path, f"{site}/gone", "0" * 64)))
    assert "no release binary is pinned" in str(download_release(tmp_path / "opa", tmp_path / "absent.json"))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without OPA, and an installation whose release is not pinned."""
    for name in ("OPA_BIN", "REGAL_BIN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "path").mkdir()
    (tmp_path / "opa" / "regal").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(installing, "product_folder", lambda name: tmp_path / name)
    return tmp_path


def go(folder: Path, script: str) -> None:
    """A stand-in for Go: a real build takes minutes."""
    path = folder / "path" / "go"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


BUILDS = """while [ "$1" != "-o" ]; do shift; done
echo '#!/bin/sh' > "$2"; echo "echo 'Version: 1.22.2'" >> "$2"; /bin/chmod 755 "$2"
"""


@pytest.mark.parametrize("tool", ["opa", "regal"])
def test_without_a_release_the_tool_is_built_from_the_module(bare: Path, tool: str) -> None:
    go(bare, BUILDS)
    assert install(tool, bare / "tools") == bare / "tools" / tool
    assert read_version(bare / "tools" / tool) == (1, 22, 2)
    go(bare, "exit 1")
    assert install(tool, bare / "tools") == bare / "tools" / tool


def test_a_build_that_fails_says_why(bare: Path) -> None:
    go(bare, "echo 'no such module' >&2; exit 1")
    assert "no such module" in str(build_from_module("opa", bare / "tools" / "opa"))


def test_when_every_way_fails_the_message_tells_how_each_did(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OpaNotFound) as raised:
        install("opa", bare / "tools")
    for part in ("no release binary is pinned", "Go is not installed", "OPA_BIN"):
        assert part in str(raised.value)
    monkeypatch.setattr(installing, "tools_folder", lambda: bare / "tools")
    monkeypatch.setattr("sys.argv", ["install", "--regal"])
    assert main() == 1
    assert "Go is not installed" in capsys.readouterr().err


def test_an_opa_bin_that_does_not_work_is_not_papered_over(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(bare, BUILDS)
    monkeypatch.setenv("OPA_BIN", str(bare / "mistyped"))
    with pytest.raises(OpaNotFound, match="mistyped"):
        install("opa", bare / "tools")
    assert not (bare / "tools").exists()


def test_what_is_there_is_used(bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    go(bare, BUILDS)
    monkeypatch.setattr(installing, "tools_folder", lambda: bare / "tools")
    monkeypatch.setattr("sys.argv", ["install", "--regal"])
    assert main() == 0
    assert capsys.readouterr().out.split() == [str(bare / "tools" / "opa"), str(bare / "tools" / "regal")]
    monkeypatch.setenv("REGAL_BIN", "/elsewhere/regal")
    assert install("regal", bare / "tools") == Path("/elsewhere/regal")


def test_without_go_the_linter_s_absence_is_told_with_the_ways_to_get_it_and_no_build_is_announced(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installing, "tools_folder", lambda: bare / "tools")
    monkeypatch.setenv("OPA_BIN", str(bare / "path" / "opa"))
    (bare / "path" / "opa").write_bytes(SCRIPT)
    (bare / "path" / "opa").chmod(0o755)
    monkeypatch.setattr("sys.argv", ["install", "--regal"])
    assert main() == 1
    said = capsys.readouterr().err
    for way in ("REGAL_BIN", "PATH", "install Go", "--regal", "Go is not installed"):
        assert way in said
    assert "building" not in said
    assert "tried tried" not in said
