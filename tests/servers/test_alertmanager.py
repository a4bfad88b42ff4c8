import os
import shutil
from pathlib import Path

import pytest

from tests.servers import alertmanager, debian
from tests.servers.alertmanager import Alertmanager, AlertmanagerMissing, ensure_alertmanager, find_alertmanager


def test_without_it_and_without_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(AlertmanagerMissing, match="as root on Debian"):
        ensure_alertmanager()


def test_one_of_the_two_programs_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"alertmanager": "/bin/alertmanager"}
    monkeypatch.setattr(shutil, "which", there.get)
    assert find_alertmanager() is None
    there["amtool"] = "/bin/amtool"
    assert find_alertmanager() == Alertmanager(Path("/bin/alertmanager"), Path("/bin/amtool"))


def test_what_another_process_installed_meanwhile_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("it installs")

    both = Alertmanager(tmp_path, tmp_path)
    found = iter([None, both])
    monkeypatch.setattr(debian, "_LOCK", tmp_path / "lock")
    monkeypatch.setattr(alertmanager, "can_install", lambda: True)
    monkeypatch.setattr(alertmanager, "apt", fail)
    monkeypatch.setattr(alertmanager, "find_alertmanager", lambda: next(found))
    assert ensure_alertmanager() == both
