"""OPA is found in a documented order, and one that is too old or broken is never taken silently."""

from pathlib import Path

import pytest

from controlplane.sidecar import OpaNotFound, locate_opa
from controlplane.sidecar.folders import product_folder, tools_folder
from controlplane.sidecar.locate import MINIMUM_VERSION, read_version


def stand_in(folder: Path, version: str, name: str = "opa") -> Path:
    """A script that answers ``opa version``: an old OPA cannot be had here."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho 'Version: {version}'\necho 'Go Version: go1.26'\n")
    path.chmod(0o755)
    return path


def test_the_installed_opa_is_new_enough() -> None:
    found = locate_opa({"PATH": "/nowhere"})
    assert found.version >= MINIMUM_VERSION
    assert found.source == "tools"


def test_opa_bin_comes_before_path_and_path_before_the_tool_folder(tmp_path: Path) -> None:
    named = stand_in(tmp_path / "named", "1.30.0")
    on_path = stand_in(tmp_path / "path", "1.31.0")
    tool = stand_in(tmp_path / "tools", "1.32.0")
    environment = {"OPA_BIN": str(named), "PATH": str(on_path.parent)}
    assert locate_opa(environment, tool.parent).path == named
    del environment["OPA_BIN"]
    assert locate_opa(environment, tool.parent).path == on_path
    on_path.unlink()
    assert locate_opa(environment, tool.parent).path == tool


def test_an_opa_on_path_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    old = stand_in(tmp_path / "path", "1.16.9")
    new = stand_in(tmp_path / "tools", "1.17.0")
    assert locate_opa({"PATH": str(old.parent)}, new.parent).path == new


@pytest.mark.parametrize("version", ["1.16.9", "0.70.0", "nonsense"])
def test_an_opa_bin_that_cannot_be_used_is_an_error_even_if_another_is_there(tmp_path: Path, version: str) -> None:
    named = stand_in(tmp_path / "named", version)
    usable = stand_in(tmp_path / "tools", "1.22.0")
    with pytest.raises(OpaNotFound) as raised:
        locate_opa({"OPA_BIN": str(named), "PATH": ""}, usable.parent)
    assert str(named) in str(raised.value)
    assert "OPA_BIN" in str(raised.value)


def test_the_message_names_every_way_and_what_was_tried(tmp_path: Path) -> None:
    old = stand_in(tmp_path / "path", "1.4.2")
    with pytest.raises(OpaNotFound) as raised:
        locate_opa({"PATH": str(old.parent)}, tmp_path / "tools")
    message = str(raised.value)
    assert "too old: 1.4.2" in message
    assert "OPA_BIN: not set" in message
    assert "controlplane.sidecar.install" in message


def test_what_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert read_version(tmp_path / "absent") is None
    text = tmp_path / "text"
    text.write_text("not a program")
    assert read_version(text) is None


def test_the_installation_has_its_folders() -> None:
    assert (product_folder("opa") / "go.mod").is_file()
    assert tools_folder().name == "bin"
    with pytest.raises(FileNotFoundError, match="reinstall"):
        product_folder("no-such-folder")
