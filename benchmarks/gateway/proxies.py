"""The proxies that are measured: each with the configuration that is shipped, and with the same one less the check."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from benchmarks.gateway.cast import AUDIENCE, PATH, PUBLIC_URL, Cast, free_port, program, python, running
from benchmarks.gateway.measuring import Side
from benchmarks.household import MODEL

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "gateway"

_SOCKET = "/run/ztfm/authorize.sock"


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy.

    Attributes:
        name: that it is asked for by.
        configuration: the example, under ``examples/gateway``.
        authorizer: words of the command of the authorizer beside it, which listens on a Unix socket.
        bare: takes the check out of a configuration.
        changes: what a configuration says of places, and what stands there in a folder.
        command: that runs a configuration.
    """

    name: str
    configuration: str
    authorizer: Callable[[Path], Sequence[str | Path]]
    bare: Callable[[str], str]
    changes: Callable[[Path, int, int], Mapping[str, str]]
    command: Callable[[Path, Path], list[str | Path]]

    @contextmanager
    def sides(self, cast: Cast, folder: Path) -> Iterator[tuple[Side, Side]]:
        """Run it without the check and with it, and give both.

        Raises:
            ProgramMissing: it is not installed.
            ValueError: the example is not what this expects.
        """
        folder.mkdir()
        with ExitStack() as stack:
            authorizer = stack.enter_context(self._authorizer(cast, folder))
            bare = stack.enter_context(self._running(folder / "bare", cast.upstream, folder, is_checked=False))
            checked = stack.enter_context(self._running(folder / "checked", cast.upstream, folder, is_checked=True))
            yield bare, Side(checked.port, (*checked.processes, authorizer))

    @contextmanager
    def _running(self, own: Path, upstream: int, shared: Path, *, is_checked: bool) -> Iterator[Side]:
        own.mkdir()
        text, port = (EXAMPLES / self.configuration).read_text(), free_port()
        changes = {**self.changes(own, port, upstream), _SOCKET: f"{shared}/authorize.sock"}
        for before, after in changes.items():
            if before not in text:
                raise ValueError(f"{self.configuration} has no {before!r} any more: compare with {__file__}")
            text = text.replace(before, after)
        written = own / Path(self.configuration).name
        written.write_text(text if is_checked else self.bare(text))
        with running(self.command(own, written), port, own / "log", _homes(own)) as process:
            yield Side(port, (process,))

    @contextmanager
    def _authorizer(self, cast: Cast, folder: Path) -> Iterator[int]:
        socket = folder / "authorize.sock"
        kind, *where = self.authorizer(socket)
        command = python("adapters.gateway", kind, cast.gateway, *where, "--audience", AUDIENCE, "--json")
        command += ["--public-url", PUBLIC_URL, "--rules", EXAMPLES / "rules.json"]
        command += ["--upstream-keeps", "detail", "--upstream-keeps", "max_output_tokens"]
        with running(command, socket, folder / "authorizer.log") as process:
            yield process


def _homes(folder: Path) -> dict[str, str]:
    return {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def _without(pattern: str, text: str) -> str:
    found, count = re.subn(pattern, "", text, flags=re.MULTILINE | re.DOTALL)
    if count == 0:
        raise ValueError(f"the example has no check {pattern!r} to take out")
    return found


def _bare_haproxy(text: str) -> str:
    return _without(r"^ *(lua-load-per-thread|http-request (lua\.|return status 503))[^\n]*\n", text)


def _bare_envoy(text: str) -> str:
    document = yaml.safe_load(text)
    [chain] = document["static_resources"]["listeners"][0]["filter_chains"]
    manager = chain["filters"][0]["typed_config"]
    kept = [one for one in manager["http_filters"] if one["name"] != "envoy.filters.http.ext_authz"]
    if len(kept) == len(manager["http_filters"]):
        raise ValueError("the example has no check to take out")
    manager["http_filters"] = kept
    return yaml.safe_dump(document)


def _ports(port: int, upstream: int) -> dict[str, str]:
    return {"127.0.0.1:8080": f"127.0.0.1:{port}", "127.0.0.1:9000": f"127.0.0.1:{upstream}"}


NGINX = Proxy(
    "nginx",
    "nginx/nginx.conf",
    lambda socket: ("authorize", "--dialect", "nginx", "--socket", socket),
    lambda text: _without(r"^ *auth_request /\.ztfm/authorize;\n", text),
    lambda own, port, upstream: {
        "user www-data;": "user root; daemon off;",
        "pid /run/ztfm-nginx.pid;": f"pid {own}/nginx.pid;",
        **_ports(port, upstream),
    },
    lambda own, written: [program("nginx"), "-p", own, "-c", written, "-e", own / "error.log"],
)

CADDY = Proxy(
    "caddy",
    "caddy/Caddyfile",
    lambda socket: ("authorize", "--dialect", "caddy", "--socket", socket),
    lambda text: _without(r"^\t*forward_auth .*?^\t\t\}\n", text),
    lambda own, port, upstream: {
        "http://:8080": f"http://:{port}",
        "127.0.0.1:9000": f"127.0.0.1:{upstream}",
    },
    lambda own, written: [program("caddy"), "run", "--adapter", "caddyfile", "--config", written],
)

HAPROXY = Proxy(
    "haproxy",
    "haproxy/haproxy.cfg",
    lambda socket: ("authorize", "--dialect", "haproxy", "--socket", socket),
    _bare_haproxy,
    lambda own, port, upstream: {
        "/etc/haproxy/authorize.lua": str(EXAMPLES / "haproxy" / "authorize.lua"),
        **_ports(port, upstream),
    },
    lambda own, written: [program("haproxy"), "-db", "-f", written],
)

ENVOY = Proxy(
    "envoy",
    "envoy-grpc/envoy.yaml",
    lambda socket: ("envoy", "--listen", f"unix:{socket}"),
    _bare_envoy,
    lambda own, port, upstream: {
        "socket_address: {address: 127.0.0.1, port_value: 9191}": f"pipe: {{path: {_SOCKET}}}",
        "port_value: 8080}": f"port_value: {port} }}",
        "port_value: 9000}": f"port_value: {upstream} }}",
    },
    lambda own, written: [program("envoy"), "-c", written, "--concurrency", "1", "--disable-hot-restart", "-l", "warn"],
)
"""Over gRPC. Debian has none: it is measured where it is asked for by name."""

ENVOY_HTTP = replace(
    ENVOY,
    name="envoy-http",
    configuration="envoy/envoy.yaml",
    authorizer=lambda socket: ("authorize", "--dialect", "envoy", "--socket", socket),
    changes=lambda own, port, upstream: {
        "port_value: 8080}": f"port_value: {port} }}",
        "port_value: 9000}": f"port_value: {upstream} }}",
    },
)
"""Over HTTP."""


@dataclass(frozen=True)
class Own:
    """The proxy of our own, against one of the same library that passes everything on.

    Attributes:
        name: that it is asked for by.
        is_whole: as it is shipped, so that policy is asked about each prompt and each answer; else with stand-ins.
    """

    name: str
    is_whole: bool

    @contextmanager
    def sides(self, cast: Cast, folder: Path) -> Iterator[tuple[Side, Side]]:
        """Run both."""
        folder.mkdir()
        plain, checked = free_port(), free_port()
        bare = python("benchmarks.gateway.plain", str(plain), str(cast.upstream))
        with (
            running(bare, plain, folder / "plain.log") as without,
            running(self._command(cast, checked), checked, folder / "own.log") as ours,
        ):
            yield Side(plain, (without,)), Side(checked, (ours, *((cast.control_plane,) if self.is_whole else ())))

    def _command(self, cast: Cast, port: int) -> list[str | Path]:
        if not self.is_whole:
            return python("benchmarks.gateway.alone", cast.gateway, str(port), str(cast.upstream))
        command = python("adapters.gateway", "proxy", cast.gateway, "--audience", AUDIENCE, "--public-url", PUBLIC_URL)
        command += ["--upstream", f"http://127.0.0.1:{cast.upstream}", "--api", "plain", "--path", f"POST {PATH}"]
        return [*command, "--model", MODEL, "--behind-tls", "--listen", f"127.0.0.1:{port}"]


OWN = Own("own", is_whole=False)
"""By itself: the capability is checked, the request and the answer are read and passed on."""

OWN_WHOLE = Own("own-whole", is_whole=True)
"""With the control plane's decisions on each prompt and each answer, and with leases of budgets."""

PROXIES: Mapping[str, Proxy | Own] = {
    one.name: one for one in (NGINX, CADDY, HAPROXY, OWN, OWN_WHOLE, ENVOY, ENVOY_HTTP)
}
"""By name."""

USUAL = ("nginx", "caddy", "haproxy", "own", "own-whole")
"""What is measured where nothing is said."""
