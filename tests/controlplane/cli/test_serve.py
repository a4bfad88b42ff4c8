"""``ztfm serve`` starts with one line, stops with status 0 and leaves nothing; what it cannot do it says."""

import json
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.controlplane.cli.processes import ZTFM, opa_of, serve

Run = Callable[..., subprocess.CompletedProcess[str]]
Quick = Callable[..., Result]


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.status, response.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_and_leaves_no_process_and_no_socket(
    state: Path, number: signal.Signals
) -> None:
    with serve(state) as (process, line):
        assert get(line["url"] + "/readyz")[0] == 200
        assert line["state_dir"] == str(state)
        assert len(opa_of(state)) == 1
        process.send_signal(number)
        assert process.wait(15) == 0
    assert opa_of(state) == []
    assert not (state / "opa" / "opa.sock").exists()


def test_under_load_it_ends_as_well(state: Path) -> None:
    answered: list[int] = []
    stop = threading.Event()
    with serve(state) as (process, line):

        def load() -> None:
            while not stop.is_set():
                try:
                    answered.append(get(line["url"] + "/readyz")[0])
                except OSError:
                    return

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        process.terminate()
        assert process.wait(15) == 0
        stop.set()
        for thread in threads:
            thread.join()
    assert answered
    assert opa_of(state) == []
    assert not (state / "opa" / "opa.sock").exists()


def test_killed_it_leaves_no_opa_and_starts_again_in_the_same_folder(state: Path) -> None:
    with serve(state) as (process, _):
        assert len(opa_of(state)) == 1
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while opa_of(state):
            assert time.monotonic() < deadline, "OPA outlived its control plane"
            time.sleep(0.02)
    with serve(state) as (process, line):
        assert get(line["url"] + "/readyz")[0] == 200


def test_a_signal_during_start_up_ends_it_at_once(state: Path) -> None:
    command = ["ztfm", "serve", "--port", "0", "--state-dir", str(state), "--policies", str(state / "p")]
    (state / "p" / "ztfm").mkdir(parents=True)
    (state / "p" / "ztfm" / "p.rego").write_text("package ztfm.p\n\nvalue := 1\n")
    with subprocess.Popen([*ZTFM, *command[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not opa_of(state):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        started = time.monotonic()
        assert process.wait(15) == 0
        assert time.monotonic() - started < 5
    assert opa_of(state) == []


@pytest.mark.parametrize("empty", [True, False])
def test_without_policies_it_says_so_and_exits_with_1(quick: Quick, tmp_path: Path, empty: bool) -> None:
    folder = tmp_path / "nothing"
    if empty:
        folder.mkdir()
    done = quick("serve", "--policies", str(folder))
    assert done.exit_code == 1
    assert "holds no policies" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_broken_policies_it_names_file_and_line_and_exits_with_1(ztfm: Run, broken: Path, state: Path) -> None:
    done = ztfm("serve", "--policies", str(broken))
    assert done.returncode == 1
    assert "broken.rego:" in done.stderr
    assert "Traceback" not in done.stderr
    assert opa_of(state) == []


def test_policies_that_answer_no_batch_are_found_out_at_the_start(quick: Quick, tmp_path: Path) -> None:
    (tmp_path / "ztfm").mkdir()
    (tmp_path / "ztfm" / "other.rego").write_text("package ztfm.other\n\nvalue := 1\n")
    done = quick("serve", "--policies", str(tmp_path), ZTFM_START_SECONDS="1")
    assert done.exit_code == 1
    assert "no verified policy is active" in done.stderr


def test_a_port_that_is_taken_is_a_clear_error(quick: Quick) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = quick("serve", "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_in_use_is_a_clear_error_and_harms_nobody(ztfm: Run, state: Path) -> None:
    with serve(state) as (_, line):
        done = ztfm("serve")
        assert done.returncode == 1
        assert "another control plane" in done.stderr
        assert get(line["url"] + "/readyz")[0] == 200


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({"ZTFM_DATABASE_URL": "mysql://x/y"}, 1, "is not known here"),
        ({"ZTFM_DATABASE_URL": "sqlite+aiosqlite:////proc/nothing/ztfm.db"}, 1, "could not"),
        ({"OPA_BIN": "/no/such/opa"}, 1, "/no/such/opa"),
        ({"ZTFM_NEWCOMER_TRUST": "2"}, 2, "ZTFM_NEWCOMER_TRUST"),
        ({"ZTFM_PUBLIC_URL": "ftp://x"}, 2, "ZTFM_PUBLIC_URL"),
        ({"ZTFM_OPA_MODE": "external"}, 2, "ZTFM_OPA_URL"),
        (
            {"ZTFM_OPA_MODE": "external", "ZTFM_OPA_URL": "http://opa.internal:1", "ZTFM_OPA_TOKEN_FILE": "/dev/null"},
            2,
            "starts with https://",
        ),
        (
            {"ZTFM_OPA_MODE": "external", "ZTFM_OPA_URL": "http://127.0.0.1:1", "ZTFM_OPA_TOKEN_FILE": "/no/such"},
            1,
            "cannot be read",
        ),
        (
            {"ZTFM_OPA_MODE": "external", "ZTFM_OPA_URL": "http://127.0.0.1:1", "ZTFM_OPA_TOKEN_FILE": "/dev/null"},
            1,
            "is empty",
        ),
    ],
)
def test_settings_that_cannot_work_are_named(quick: Quick, environment: dict[str, str], code: int, said: str) -> None:
    done = quick("serve", **environment)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["signing-key.pem", "sealing.key"])
def test_a_key_that_others_can_read_is_refused(quick: Quick, state: Path, name: str) -> None:
    key = state / name
    key.write_text("not a key")
    key.chmod(0o644)
    done = quick("serve")
    assert done.exit_code == 1
    assert "chmod 600" in done.stderr
    assert "Traceback" not in done.stderr
    assert opa_of(state) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"damaged", "holds no sealing key: 32 bytes in base64url. Restore it from a backup."),
        (urlsafe_b64encode(bytes(32)), "restore the sealing key from the backup of this store"),
        (None, "ztfm keys withdraw --all --reason lost"),
    ],
    ids=["damaged", "foreign", "lost"],
)
def test_signing_keys_that_do_not_open_are_a_fault_at_the_start(
    quick: Quick, state: Path, content: bytes | None, said: str
) -> None:
    assert quick("keys", "rotate").exit_code == 0
    path = state / "sealing.key"
    path.unlink()
    if content is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)
    done = quick("serve")
    assert done.exit_code == 1
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert opa_of(state) == []


def test_it_warns_when_it_listens_everywhere_under_no_name(state: Path) -> None:
    log = state.parent / f"{state.name}.log"
    with serve(state, "--host", "0.0.0.0"):
        assert "ZTFM_PUBLIC_URL" in log.read_text()


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_it_listens_on_ipv6(state: Path) -> None:
    with serve(state, "--host", "::1") as (_, line):
        assert line["url"].startswith("http://[::1]:")
        assert get(line["url"] + "/livez")[0] == 200


def test_an_external_opa_is_asked_with_its_token(state: Path, tmp_path: Path) -> None:
    with serve(state) as (_, first):
        other = tmp_path / "other"
        environment = {
            "ZTFM_OPA_MODE": "external",
            "ZTFM_OPA_SOCKET": str(state / "opa" / "opa.sock"),
            "ZTFM_OPA_TOKEN_FILE": str(state / "opa" / "opa-token"),
        }
        with serve(other, **environment) as (process, line):
            assert get(line["url"] + "/readyz")[0] == 200
            assert opa_of(other) == []
            process.terminate()
            assert process.wait(15) == 0
        assert get(first["url"] + "/readyz")[0] == 200


def test_it_serves_tls_alone_and_a_socket_with_what_tls_init_made(state: Path, ztfm: Run) -> None:
    made = json.loads(ztfm("tls", "init", "--host", "127.0.0.1", "--json").stdout)
    files = {name: made[name] for name in ("ZTFM_TLS_CERT_FILE", "ZTFM_TLS_KEY_FILE")}
    path = state / "api.sock"
    with serve(state, ZTFM_LISTEN_SOCKET=str(path), **files) as (process, line):
        assert line["url"] == line["tls_url"]
        assert line["url"].startswith("https://127.0.0.1:")
        assert line["socket"] == str(path)
        context = ssl.create_default_context(cafile=made["authority"])
        with urllib.request.urlopen(line["url"] + "/readyz", timeout=10, context=context) as response:
            assert response.status == 200
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(line["url"] + "/readyz", timeout=10)
        process.terminate()
        assert process.wait(15) == 0
    assert not path.exists()


def test_one_switch_has_every_worker_serve_tls_alone_with_a_certificate_of_our_own_authority(state: Path) -> None:
    with serve(state, ZTFM_TLS_OWN="true", ZTFM_WORKERS="2") as (process, line):
        assert line["url"] == line["tls_url"]
        context = ssl.create_default_context(cafile=str(state / "tls" / "authority.pem"))
        for _ in range(4):
            with urllib.request.urlopen(line["url"] + "/readyz", timeout=10, context=context) as response:
                assert response.status == 200
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(line["url"] + "/readyz", timeout=10)
        process.terminate()
        assert process.wait(15) == 0


@pytest.mark.parametrize("missing", ["ZTFM_TLS_CERT_FILE", "ZTFM_TLS_KEY_FILE"])
def test_tls_that_is_half_there_is_said_before_anything_starts(quick: Quick, missing: str) -> None:
    done = quick("serve", **{missing: "/no/such/file"})
    assert done.exit_code == 2
    assert "go together" in done.stderr


def test_tls_files_that_cannot_be_used_are_said(quick: Quick, tmp_path: Path) -> None:
    done = quick("serve", ZTFM_TLS_CERT_FILE=str(tmp_path / "a"), ZTFM_TLS_KEY_FILE=str(tmp_path / "b"))
    assert done.exit_code == 1
    assert "TLS cannot be served" in done.stderr
