"""What a router tells Prometheus of itself, and where it asks for its table."""

import urllib.request
from pathlib import Path

import pytest

from adapters.enrolment import Identity, make_key, store_identity
from adapters.segments.command import _parser, main
from adapters.segments.metrics import RouterCollector, Standing, served


def scraped(standing: Standing) -> dict[str, float]:
    with served(RouterCollector(lambda: standing), "127.0.0.1", 0) as url, urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if one[0] != "#")}


def test_how_a_router_stands_is_served_and_what_never_happened_is_zero() -> None:
    standing = Standing(1_800_000_000.0, 7, 2, 1.5, is_refused=True, events={"applied": 3})
    prefix = "ztfm_adapter_router"
    assert scraped(standing) == {
        f"{prefix}_table_timestamp_seconds": 1_800_000_000.0,
        f"{prefix}_flows": 7.0,
        f"{prefix}_cuts": 2.0,
        f"{prefix}_silence_seconds": 1.5,
        f"{prefix}_refused": 1.0,
        f'{prefix}_events_total{{event="applied"}}': 3.0,
        f'{prefix}_events_total{{event="refused"}}': 0.0,
        f'{prefix}_events_total{{event="disturbed"}}': 0.0,
        f'{prefix}_events_total{{event="silent"}}': 0.0,
    }


@pytest.mark.parametrize("what", ["run", "plan", "apply", "verify"])
@pytest.mark.parametrize("url", ["http://control.example:8181", "http://10.0.0.1", "http://localhost.example"])
def test_a_table_that_others_on_the_way_could_write_is_not_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, url: str
) -> None:
    make_key(tmp_path)
    store_identity(tmp_path, Identity(url=url, id="dev-1", issuer=url))
    assert main([what, str(tmp_path)]) == 1
    assert "without TLS whoever is on the way could write the table" in capsys.readouterr().err


@pytest.mark.parametrize("at", ["9466", "localhost:", "localhost:x", "localhost:70000"])
def test_an_address_for_metrics_that_is_none_is_refused(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["run", "keys/router", "--metrics", at])
    assert "no address such as 127.0.0.1:9466" in capsys.readouterr().err
