"""OPA runs as a child: guarded by a token, restarted when it dies, gone when its parent is."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from controlplane.bundles import BundleSigner
from controlplane.decisions.engine import BatchFault
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.sidecar import OpaBinary, Sidecar, SidecarError, SidecarOptions, build_bundle
from tests.pausing import pause
from tests.servers.ports import free_port

REVISION_QUESTION = b'{"input":{}}'


@pytest.fixture
def options(opa: OpaBinary, modules: tuple[Path, ...], short: Path) -> SidecarOptions:
    return SidecarOptions(opa, short, modules)


@pytest.fixture
def sidecar(options: SidecarOptions, bundle: bytes) -> Sidecar:
    made = Sidecar(options, first_backoff=0.05)
    made.offer("base", bundle)
    return made


async def revision_of(sidecar: Sidecar, token: str | None = None, seconds: float = 10.0) -> str:
    """Return the active revision as soon as OPA answers with one."""
    transport = OpaTransport(OpaAddress(token=token or sidecar.token, socket=sidecar.options.socket))
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return (await transport.send(REVISION_QUESTION, 1.0)).revision
            except BatchFault as fault:
                if time.monotonic() > deadline or fault.cause == "engine_error":
                    raise
            await asyncio.sleep(0.02)
    finally:
        await transport.close()


def oom_score(pid: int) -> str:
    return Path(f"/proc/{pid}/oom_score_adj").read_text().strip()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_it_answers_on_a_private_socket_to_the_holder_of_the_token_alone(
    sidecar: Sidecar, options: SidecarOptions
) -> None:
    await sidecar.start()
    try:
        assert await revision_of(sidecar)
        assert stat.S_IMODE(options.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(options.folder.stat().st_mode) == 0o700
        with pytest.raises(BatchFault) as raised:
            await revision_of(sidecar, token="guessed")
        assert raised.value.cause == "engine_error"
        assert raised.value.whole
    finally:
        await sidecar.stop()


async def test_stopping_leaves_no_process_and_no_socket(sidecar: Sidecar, options: SidecarOptions) -> None:
    await sidecar.start()
    pid = sidecar.pid
    assert pid is not None
    await revision_of(sidecar)
    await sidecar.stop()
    await sidecar.stop()
    assert sidecar.pid is None
    assert not is_alive(pid)
    assert not options.socket.exists()


async def test_a_killed_opa_is_restarted_and_each_end_is_told(options: SidecarOptions, bundle: bytes) -> None:
    codes: list[int] = []
    sidecar = Sidecar(options, on_restart=codes.append, first_backoff=0.05)
    sidecar.offer("base", bundle)
    await sidecar.start()
    try:
        await revision_of(sidecar)
        for _ in range(2):
            before = sidecar.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            deadline = time.monotonic() + 5
            while sidecar.pid in (before, None):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            assert await revision_of(sidecar)
        assert codes == [-signal.SIGKILL, -signal.SIGKILL]
    finally:
        await sidecar.stop()


async def test_a_hung_opa_is_ended_too(options: SidecarOptions) -> None:
    sidecar = Sidecar(options)
    await sidecar.start()
    pid = sidecar.pid
    assert pid is not None
    pause(pid)
    await sidecar.stop()
    assert not is_alive(pid)


async def test_a_binary_that_vanishes_is_tried_again_until_it_is_back(
    options: SidecarOptions, bundle: bytes, short: Path
) -> None:
    codes: list[int] = []
    third = asyncio.Event()

    def ended(code: int) -> None:
        codes.append(code)
        if len(codes) == 3:
            third.set()

    link = short / "opa"
    link.symlink_to(options.opa.path)
    moved = replace(options, opa=OpaBinary(link, options.opa.version, "tools"))
    sidecar = Sidecar(moved, on_restart=ended, first_backoff=0.05)
    sidecar.offer("base", bundle)
    await sidecar.start()
    try:
        await revision_of(sidecar)
        link.unlink()
        os.kill(sidecar.pid or 0, signal.SIGKILL)
        await asyncio.wait_for(third.wait(), 10)
        assert codes[:3] == [-signal.SIGKILL, -1, -1]
        link.symlink_to(options.opa.path)
        assert await revision_of(sidecar)
    finally:
        await sidecar.stop()


async def test_stopping_while_a_restart_waits_starts_nothing_more(options: SidecarOptions) -> None:
    ended = asyncio.Event()
    sidecar = Sidecar(options, on_restart=lambda _code: ended.set(), first_backoff=30.0)
    await sidecar.start()
    os.kill(sidecar.pid or 0, signal.SIGKILL)
    await ended.wait()
    started = time.monotonic()
    await sidecar.stop()
    assert time.monotonic() - started < 1.0
    assert sidecar.pid is None


async def test_two_control_planes_cannot_share_a_folder(sidecar: Sidecar, options: SidecarOptions) -> None:
    first, second = sidecar, Sidecar(options)
    await first.start()
    try:
        with pytest.raises(SidecarError, match="another control plane"):
            await second.start()
        await second.stop()
        assert await revision_of(first)
    finally:
        await first.stop()
    await second.start()
    await second.stop()


async def test_a_path_that_is_too_long_for_a_socket_is_a_clear_error(options: SidecarOptions, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    sidecar = Sidecar(replace(options, folder=folder))
    with pytest.raises(SidecarError, match="too long a path"):
        await sidecar.start()
    await sidecar.stop()


async def test_a_binary_that_cannot_be_started_is_a_clear_error(options: SidecarOptions, short: Path) -> None:
    absent = OpaBinary(short / "absent", (1, 22, 0), "tools")
    sidecar = Sidecar(replace(options, opa=absent))
    with pytest.raises(SidecarError, match="cannot be started"):
        await sidecar.start()
    await sidecar.stop()


async def test_it_listens_on_tcp_only_when_told_and_never_without_the_token(
    options: SidecarOptions, bundle: bytes
) -> None:
    place = f"127.0.0.1:{free_port()}"
    sidecar = Sidecar(replace(options, tcp=place))
    sidecar.offer("base", bundle)
    await sidecar.start()
    try:
        revision = await revision_of(sidecar)
        transport = OpaTransport(OpaAddress(token=sidecar.token, url=f"http://{place}"))
        assert (await transport.send(REVISION_QUESTION, 2.0)).revision == revision
        await transport.close()
        async with aiohttp.ClientSession() as session, session.get(f"http://{place}/v1/data") as response:
            assert response.status == 401
        async with (
            aiohttp.ClientSession() as session,
            session.put(f"http://{place}/v1/data/ztfm/x", json=1) as response,
        ):
            assert response.status == 401
    finally:
        await sidecar.stop()


async def test_a_new_bundle_is_taken_up_and_a_bad_one_leaves_the_last_good_one_deciding(
    sidecar: Sidecar, policies: Path, tmp_path: Path
) -> None:
    await sidecar.start()
    try:
        first = await revision_of(sidecar)
        sidecar.offer("base", b"this is no bundle")
        await asyncio.sleep(1.5)
        assert await revision_of(sidecar) == first
        (policies / "ztfm" / "more.rego").write_text("package ztfm.more\n\nvalue := 1\n")
        second = build_bundle(sidecar.options.opa, policies, tmp_path / "second.tar.gz")
        sidecar.offer("base", (tmp_path / "second.tar.gz").read_bytes())
        deadline = time.monotonic() + 6
        while await revision_of(sidecar) != second:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert first != second
    finally:
        await sidecar.stop()


async def test_with_keys_it_takes_what_one_of_them_signed_for_the_layer_and_nothing_else(
    options: SidecarOptions, policies: Path, bundle: bytes
) -> None:
    trusted, other = BundleSigner.generate(), BundleSigner.generate()
    files = {
        ".manifest": json.dumps({"revision": "signed.1", "roots": ["ztfm", "data"], "rego_version": 1}).encode(),
        "ztfm/batch/batch.rego": (policies / "ztfm" / "batch" / "batch.rego").read_bytes(),
    }
    sidecar = Sidecar(replace(options, keys={trusted.key_id: trusted.public_pem}))
    await sidecar.start()
    try:
        refused = (bundle, other.sign(files, "base", "signed.1"), trusted.sign(files, "site", "signed.1"))
        for body in refused:
            sidecar.offer("base", body)
            with pytest.raises(BatchFault):
                await revision_of(sidecar, seconds=1.5)
        sidecar.offer("base", trusted.sign(files, "base", "signed.1"))
        assert await revision_of(sidecar) == "signed.1"
    finally:
        await sidecar.stop()


PARENT = """
import asyncio, sys
from pathlib import Path
from controlplane.sidecar import OpaBinary, Sidecar, SidecarOptions

async def main():
    opa, folder, *modules = map(Path, sys.argv[1:])
    sidecar = Sidecar(SidecarOptions(OpaBinary(opa, (1, 22, 0), "tools"), folder, tuple(modules)))
    await sidecar.start()
    print(sidecar.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_control_plane_leaves_no_opa_behind(options: SidecarOptions) -> None:
    arguments = [options.opa.path, options.folder, *options.modules]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline, "OPA outlived its control plane"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says who is to go first")
async def test_one_that_only_looks_on_gives_way_and_goes_first(options: SidecarOptions, bundle: bytes) -> None:
    sidecar = Sidecar(replace(options, is_aside=True))
    sidecar.offer("base", bundle)
    await sidecar.start()
    try:
        assert sidecar.pid is not None
        assert oom_score(sidecar.pid) == "1000"
        assert os.getpriority(os.PRIO_PROCESS, sidecar.pid) == 19
    finally:
        await sidecar.stop()
