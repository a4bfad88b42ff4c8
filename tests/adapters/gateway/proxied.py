"""The proxies that there are examples for, each with the configuration of its example."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.adapters.gateway.lab import EXAMPLES, Runs, placed
from tests.servers.caddy import caddy, ensure_caddy
from tests.servers.envoy import ensure_envoy, envoy
from tests.servers.haproxy import ensure_haproxy, haproxy
from tests.servers.nginx import ensure_nginx, nginx
from tests.servers.traefik import ensure_traefik, traefik

Changes = Mapping[str, str]

PLAIN: Changes = {}


@contextmanager
def run_nginx(folder: Path, socket: str, port: int, upstream: int, more: Changes = PLAIN) -> Iterator[None]:
    """Run nginx; ``more`` are changes of its configuration that come first."""
    changes = {
        **more,
        "user www-data;": "user root;",
        "pid /run/ztfm-nginx.pid;": f"pid {folder}/nginx.pid;",
        "unix:/run/ztfm/authorize.sock": f"unix:{socket}",
        "127.0.0.1:9000": f"127.0.0.1:{upstream}",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    with nginx(placed(EXAMPLES / "nginx" / "nginx.conf", folder, changes), port):
        yield


@contextmanager
def run_caddy(folder: Path, socket: str, port: int, upstream: int, more: Changes = PLAIN) -> Iterator[None]:
    """Run Caddy."""
    changes = {
        **more,
        "unix//run/ztfm/authorize.sock": f"unix/{socket}",
        "127.0.0.1:9000": f"127.0.0.1:{upstream}",
        "://:8080": f"://:{port}",
    }
    with caddy(placed(EXAMPLES / "caddy" / "Caddyfile", folder, changes), port):
        yield


@contextmanager
def run_haproxy(folder: Path, socket: str, port: int, upstream: int, more: Changes = PLAIN) -> Iterator[None]:
    """Run HAProxy."""
    changes = {
        **more,
        "/etc/haproxy/authorize.lua": str(EXAMPLES / "haproxy" / "authorize.lua"),
        "unix@/run/ztfm/authorize.sock": f"unix@{socket}",
        "127.0.0.1:9000": f"127.0.0.1:{upstream}",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    with haproxy(placed(EXAMPLES / "haproxy" / "haproxy.cfg", folder, changes), port):
        yield


@contextmanager
def run_envoy(folder: Path, socket: str, port: int, upstream: int, more: Changes = PLAIN) -> Iterator[None]:
    """Run Envoy."""
    changes = {
        **more,
        "/run/ztfm/authorize.sock}": f"{socket}}}",
        "address: 127.0.0.1, port_value: 9000": f"address: 127.0.0.1, port_value: {upstream}",
        "address: 127.0.0.1, port_value: 8080": f"address: 127.0.0.1, port_value: {port}",
    }
    with envoy(placed(EXAMPLES / "envoy" / "envoy.yaml", folder, changes), port):
        yield


@contextmanager
def run_traefik(folder: Path, address: str, port: int, upstream: int, more: Changes = PLAIN) -> Iterator[None]:
    """Run Traefik."""
    changes = {**more, "127.0.0.1:9191": address, "127.0.0.1:9000": f"127.0.0.1:{upstream}", "1000000": "900"}
    models = placed(EXAMPLES / "traefik" / "models.yaml", folder, changes)
    static = {"127.0.0.1:8080": f"127.0.0.1:{port}", "examples/gateway/traefik/models.yaml": str(models)}
    with traefik(placed(EXAMPLES / "traefik" / "traefik.yaml", folder, static), port):
        yield


RUNS: Mapping[str, Runs] = {
    "nginx": run_nginx,
    "caddy": run_caddy,
    "haproxy": run_haproxy,
    "envoy": run_envoy,
    "traefik": run_traefik,
}
"""By dialect."""

ENSURE: Mapping[str, Callable[[], Path]] = {
    "nginx": ensure_nginx,
    "caddy": ensure_caddy,
    "haproxy": ensure_haproxy,
    "envoy": ensure_envoy,
    "traefik": ensure_traefik,
}
"""Finds each, or raises `NotInstalled`."""

TLS: Mapping[str, Changes] = {
    "nginx": {
        "listen 127.0.0.1:8080;": "listen 127.0.0.1:8080 ssl;\nssl_protocols TLSv1.3;\nssl_certificate server.pem;\n"
        "ssl_certificate_key server.pem;\nssl_client_certificate devices.pem;\nssl_verify_client optional;"
    },
    "caddy": {
        "http://:8080 {\n": "https://:8080 {\ntls server.pem server.pem {\nclient_auth {\nmode verify_if_given\n"
        "trusted_ca_cert_file devices.pem\n}\n}\n"
    },
    "haproxy": {"bind 127.0.0.1:8080": "bind 127.0.0.1:8080 ssl crt server.pem ca-file devices.pem verify optional"},
    "envoy": {
        "forward_client_cert_details: SANITIZE": "forward_client_cert_details: SANITIZE_SET",
        "        - filters:\n": """        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}
                tls_certificates:
                  - {certificate_chain: {filename: server.pem}, private_key: {filename: server.pem}}
                validation_context: {trusted_ca: {filename: devices.pem}}
          filters:
""",
    },
}
"""How each takes TLS connections, with or without a client certificate of an authority; see docs/gateway.md."""
