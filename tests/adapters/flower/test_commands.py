"""The two commands say what they need, and what is wrong."""

from pathlib import Path

import pytest

from adapters.flower.proxy import __main__ as proxy
from adapters.flower.proxy import sidecar

PROXY = ["--upstream", "http://127.0.0.1:1", "--model", "m", "--listen", "127.0.0.1:0"]


@pytest.mark.parametrize("main", [proxy.main, sidecar.main])
def test_help_has_an_example(main: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])  # type: ignore[operator]
    shown = capsys.readouterr().out
    assert "Example, with" in shown
    assert "--json" in shown


def test_a_folder_where_nobody_was_enrolled_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert proxy.main(["--state", str(tmp_path), *PROXY]) == 1
    assert sidecar.main(["--device", str(tmp_path), "--proxy", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.count("enrol the device first") == 2


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:", "127.0.0.1:99999", ":80"])
def test_an_address_that_is_none_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sidecar.main(["--device", "x", "--proxy", "http://127.0.0.1:1", "--listen", address])
    assert "is no address such as" in capsys.readouterr().err


def test_a_sidecar_listens_to_its_own_machine_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sidecar.main(["--device", "x", "--proxy", "http://127.0.0.1:1", "--listen", "0.0.0.0:0"])
    assert "speaks as the device" in capsys.readouterr().err


def test_a_certificate_comes_with_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = ["--device", str(tmp_path), "--proxy", "http://127.0.0.1:1", "--tls-key", "key.pem"]
    assert sidecar.main(alone) == 1
    assert "together, or neither" in capsys.readouterr().err
