import os
import shutil
import socket
from pathlib import Path

import pytest

from adapters.attesting.interface import CannotAttest
from adapters.attesting.software import SoftwareMaker, running
from adapters.attesting.tpm import TpmAttester
from tests.servers.swtpm import SwtpmMissing, ensure_swtpm, software_tpm


def test_a_tpm_is_on_loopback_is_the_same_after_a_restart_and_gone_afterwards(tmp_path: Path) -> None:
    try:
        ensure_swtpm()
    except SwtpmMissing as missing:
        pytest.skip(str(missing))
    maker, names, counts = SoftwareMaker(tmp_path / "maker"), [], []
    for _ in range(2):
        with software_tpm(tmp_path / "tpm", maker) as found:
            attester = TpmAttester(tmp_path / "device", found.tcti, [16])
            names.append(attester.name())
            counts.append(attester.values()[16])
            attester.extend(16, bytes(32))
            assert attester.values()[16] != bytes(32)
        port = int(found.tcti.rpartition("=")[2])
        for gone in (port, port + 1):
            with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", gone), timeout=1):
                pass
    assert names[0] == names[1]
    assert counts == [bytes(32)] * 2, "registers begin anew with each start"


def test_without_swtpm_and_without_root_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SwtpmMissing, match="apt-get install swtpm swtpm-tools"):
        ensure_swtpm()


def test_a_tpm_that_does_not_start_says_why(tmp_path: Path) -> None:
    try:
        ensure_swtpm()
    except SwtpmMissing as missing:
        pytest.skip(str(missing))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotAttest, match="swtpm does not start"), running(tmp_path, lambda: port):
            pass
