import shutil
from pathlib import Path

import pytest

from adapters.attesting.interface import CannotAttest
from evaluation.demo.attesting import Tpms, require_tpms
from evaluation.demo.command import run
from evaluation.demo.fleet import HOME_ROLES, Fleet, home
from evaluation.demo.outcome import Attested
from evaluation.demo.plane import engine_here, serving
from tests.servers.swtpm import SwtpmMissing, ensure_swtpm


def test_homes_attest_and_the_one_that_was_tampered_with_is_refused_and_told_why(tmp_path: Path) -> None:
    try:
        ensure_swtpm()
    except SwtpmMissing as missing:
        pytest.skip(str(missing))
    require_tpms()
    tpms, homes = Tpms(tmp_path / "tpms"), [home(number) for number in range(3)]
    with serving(tmp_path / "run", engine_here(), tpms.roots) as when_ready:
        plane = when_ready()
        fleet = Fleet(plane.url, plane.state_dir, tmp_path / "parties")
        fleet.enrol(homes, HOME_ROLES, "homes")
        found = tpms.attest(fleet, homes, tampered=homes[1])
    good = [Attested(name, "software", "software-tpm") for name in (homes[0], homes[2])]
    assert found == [good[0], Attested(homes[1], "none", wrong=["measurements.pcr15"]), good[1]]


def test_without_swtpm_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(CannotAttest, match="apt-get install swtpm swtpm-tools"):
        require_tpms()
    problem, figures = run(seed=0, is_quick=True, report=tmp_path / "report.html", is_json=True, attest="tpm")
    assert "apt-get install swtpm swtpm-tools" in problem
    assert figures == {}
