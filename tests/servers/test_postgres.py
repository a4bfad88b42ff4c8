import os
import shutil
import socket
import tempfile
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.servers import debian, postgres
from tests.servers.postgres import PostgresMissing, PostgresServer, ensure_binaries, find_binaries, running_server


def _user_of(server: PostgresServer) -> int:
    assert server._process is not None
    return Path(f"/proc/{server._process.pid}").stat().st_uid


async def test_a_server_is_private_unprivileged_and_gone_afterwards() -> None:
    try:
        ensure_binaries()
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    with running_server() as server:
        address = server.url("postgres").replace("+asyncpg", "")
        connection = await asyncpg.connect(address)
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        assert await connection.fetchval("SHOW password_encryption") == "scram-sha-256"
        assert _user_of(server) != 0
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(address.replace(server.password, "sesame"))
        assert server.password not in repr(server)
    assert not server.folder.exists()
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("127.0.0.1", server.port), 1.0)


def test_where_it_cannot_be_installed_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PostgresMissing, match="as root on Debian"):
        ensure_binaries()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(PostgresMissing, match="as root on Debian"):
        ensure_binaries()


def _pretend_apt(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    program = folder / "apt-get"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "_CLUSTERS", folder / "etc" / "createcluster.conf")
    monkeypatch.setattr(debian, "_LOCK", folder / "lock")


def test_an_installation_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pretend_apt(monkeypatch, tmp_path, "echo 'E: no network' >&2; exit 100")
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    with pytest.raises(PostgresMissing, match="apt-get update failed: E: no network"):
        ensure_binaries()


def test_an_installation_that_hangs_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pretend_apt(monkeypatch, tmp_path, "exec sleep 30")
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    monkeypatch.setattr(postgres, "_INSTALL_SECONDS", 0.0)
    with pytest.raises(PostgresMissing, match="took more than"):
        ensure_binaries()


def test_the_binaries_are_installed_when_they_are_missing_and_no_cluster_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pretend_apt(monkeypatch, tmp_path, f'echo "$@" >> {tmp_path}/asked')
    found = iter([None, None, tmp_path])
    monkeypatch.setattr(postgres, "find_binaries", lambda: next(found))
    assert ensure_binaries() == tmp_path
    asked = [line.split()[-1] for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == ["update", "postgresql-common", "postgresql"]
    assert "create_main_cluster = false" in (tmp_path / "etc" / "createcluster.conf").read_text()


def test_the_newest_version_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9.6", "15", "13"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        (folder / "initdb").touch()
        (folder / "postgres").touch()
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)
    assert find_binaries() == tmp_path / "15" / "bin"


def test_a_server_that_cannot_start_says_what_its_log_says() -> None:
    # Not pytest's own folder: whoever runs the server may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="ztfm-postgres-"))
    folder.chmod(0o755)
    (folder / "postgres").write_text("#!/bin/sh\necho 'FATAL: no luck'\nexit 1\n")
    (folder / "postgres").chmod(0o755)
    try:
        with pytest.raises(RuntimeError, match="no luck"):
            PostgresServer(folder, folder).start()
    finally:
        shutil.rmtree(folder)
