import re
import shlex
import shutil
from pathlib import Path

import pytest

from adapters.segments import libnftables
from adapters.segments.command import _parser
from adapters.segments.errors import NftablesMissing
from adapters.segments.libnftables import NftProgram, find_nftables

UNITS = Path(__file__).parents[3] / "examples" / "segments"


def test_without_the_library_the_program_is_taken_and_without_both_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libnftables, "_LIBRARY", "libnosuchthing.so.1")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/sbin/nft")
    assert isinstance(find_nftables(), NftProgram)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(NftablesMissing, match="install Debian's package"):
        find_nftables()


def test_the_units_start_what_there_is() -> None:
    agent = (UNITS / "ztfm-segments.service").read_text()
    [started] = re.findall(r"^ExecStart=(.*)$", agent, re.MULTILINE)
    python, flag, module, *words = shlex.split(started)
    assert (Path(python).name, flag, module) == ("python", "-m", "adapters.segments")
    assert _parser().parse_args(words).what == "run"
    closed = (UNITS / "ztfm-closed.service").read_text()
    [made] = re.findall(r"^# .*python -m adapters\.segments (.*) > /etc/ztfm/closed\.nft$", closed, re.MULTILINE)
    assert _parser().parse_args(shlex.split(made)).file
    assert "ExecStart=/usr/sbin/nft -f /etc/ztfm/closed.nft" in closed
