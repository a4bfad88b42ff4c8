"""A small run measures a real proxy at a real control plane; the bar itself is for `benchmarks/` to hold."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gateway.__main__ import BAR_MS, measure, summary
from benchmarks.gateway.measuring import Figures, Line, Size, quietest
from benchmarks.gateway.proxies import CADDY, ENVOY, EXAMPLES, HAPROXY, NGINX, OWN_WHOLE, PROXIES, USUAL, Proxy
from tests.servers.debian import NotInstalled
from tests.servers.nginx import ensure_nginx

FIGURES = Figures(
    bare_p50_ms=0.1,
    p50_ms=0.5,
    added_p50_ms=0.4,
    added_p99_ms=1.0,
    bare_rps=2000.0,
    rps=1000.0,
    ratio_rps=0.5,
    bare_cpu_us=20.0,
    added_cpu_us=400.0,
)
SIZE = Size(requests=40, load=32, connections=4, turns=1)


async def test_a_run_measures_a_proxy_with_and_without_the_check(tmp_path: Path) -> None:
    try:
        ensure_nginx()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    [(name, found)] = (await measure(["nginx"], SIZE, tmp_path)).items()
    assert name == "nginx"
    assert found.p50_ms > found.bare_p50_ms > 0
    assert found.added_p50_ms == pytest.approx(found.p50_ms - found.bare_p50_ms, abs=0.002)
    assert found.rps > 0
    assert found.ratio_rps == pytest.approx(found.rps / found.bare_rps, abs=0.002)


@pytest.mark.parametrize("proxy", [NGINX, CADDY, HAPROXY, ENVOY], ids=lambda proxy: proxy.name)
def test_the_bare_proxy_is_the_example_less_the_check(proxy: Proxy) -> None:
    text = (EXAMPLES / proxy.configuration).read_text()
    bare = proxy.bare(text)
    check = {
        "nginx": "auth_request /",
        "caddy": "forward_auth ",
        "haproxy": "lua.ztfm_authorize",
        "envoy": "filters.http.ext_authz",
    }
    assert check[proxy.name] in text
    assert check[proxy.name] not in bare
    assert "127.0.0.1" in bare


def test_an_example_that_lost_its_check_is_no_bare_proxy() -> None:
    for proxy in (NGINX, CADDY, HAPROXY):
        with pytest.raises(ValueError, match="has no check"):
            proxy.bare("nothing to take out")


def test_the_summary_tells_the_worst_and_whether_the_bar_is_held() -> None:
    slow, slower = replace(FIGURES, added_p50_ms=0.7, ratio_rps=0.3), replace(FIGURES, added_p50_ms=20.0)
    found = summary({"nginx": FIGURES, "caddy": slow, OWN_WHOLE.name: slower}, SIZE)
    assert (found["added_p50_ms"], found["ratio_rps"], found["within_bar"]) == (0.7, 0.3, True)
    assert found["proxies"]["own-whole"]["added_p50_ms"] == 20.0
    assert summary({"nginx": replace(FIGURES, added_p50_ms=BAR_MS)}, SIZE)["within_bar"] is False


def test_the_quietest_blocks_are_chosen_by_both_sides_together() -> None:
    loud = [([9.0, 9.0], [9.0, 9.0])] * 17
    fast_alone, both_fast = ([1.0, 1.0], [30.0, 30.0]), ([2.0, 4.0], [3.0, 5.0])
    assert quietest([*loud, fast_alone, both_fast]) == both_fast
    assert quietest([fast_alone]) == fast_alone
    assert quietest([*loud, both_fast, both_fast, both_fast])[0] == [2.0, 4.0, 2.0, 4.0]


def test_what_is_measured_where_nothing_is_said_is_there() -> None:
    assert set(USUAL) <= set(PROXIES)
    assert {"nginx", "caddy", "haproxy", "own"} <= set(USUAL)


def test_an_answer_that_does_not_let_the_request_pass_is_no_measurement() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(listener.getsockname()[1])
        served, _ = listener.accept()
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert line.ask(b"POST / HTTP/1.1\r\n\r\n") > 0
        served.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(RuntimeError, match="did not pass"):
            line.ask(b"POST / HTTP/1.1\r\n\r\n")
        served.close()
        line.close()
