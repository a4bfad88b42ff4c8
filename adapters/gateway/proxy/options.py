"""What the command takes, and the parts that it stands for."""

import argparse
import ipaddress
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final, get_args

from adapters.gateway.commanding import add_common_options
from adapters.gateway.proxy.endpoints import Served
from adapters.gateway.proxy.kserve import KServe
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.openai import LimitMember, OpenAi
from adapters.gateway.proxy.opening import Api
from adapters.gateway.proxy.plain import Plain
from controlplane.capabilities.channels import server_context

PROG: Final = "python -m adapters.gateway proxy"

_MAX_KEY_CHARS = 4096
_EPILOG = """Example, with a gateway that was enrolled in keys/gateway (python -m adapters.enrol), before a model server
that listens on loopback alone:

  python -m adapters.gateway proxy keys/gateway --upstream http://127.0.0.1:8000 --model smart-home-intents \\
      --audience gateway-1 --public-url https://models.example --listen 127.0.0.1:8443 \\
      --tls-certificate models.pem --tls-key models.key --json

Plain HTTP: --api plain --path "POST /predict". Bounds: --limit answer_seconds=120 --limit requests_per_subject=4."""


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    made = argparse.ArgumentParser(
        prog=PROG,
        description="A reverse proxy before a model server: nothing passes without a capability, a budget and a look.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("folder", type=Path, help="of an enrolled gateway")
    made.add_argument("--upstream", required=True, metavar="URL", help="the model server, or unix:/PATH")
    made.add_argument("--api", choices=("openai", "kserve", "plain"), default="openai", help="what it speaks (openai)")
    made.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME[=NAME_THERE]",
        help="that is served, by its name in capabilities; several times for more",
    )
    made.add_argument(
        "--digest",
        action="append",
        default=[],
        metavar="NAME=sha256:...",
        help="of the weights of a model: only capabilities for these are taken",
    )
    made.add_argument("--audience", required=True, help="the name of this proxy in capabilities")
    made.add_argument("--public-url", required=True, metavar="URL", help="how callers reach it, up to its paths")
    made.add_argument("--segment", help="from which alone requests come")
    _add_content(made)
    _add_connections(made)
    made.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a bound: {', '.join(one.name for one in fields(Limits))}",
    )
    add_common_options(made)
    return made


def _add_content(made: argparse.ArgumentParser) -> None:
    made.add_argument("--path", action="append", default=[], metavar='"POST /PATH"', help="that is there (plain)")
    made.add_argument(
        "--opaque", action="append", default=[], metavar="TYPE", help="media type that passes without a look (plain)"
    )
    made.add_argument("--media", action="store_true", help="prompts may have pictures, which nobody sees (openai)")
    made.add_argument(
        "--limit-member",
        choices=get_args(LimitMember),
        default="max_tokens",
        help="by which the model server is told how long an answer may be (max_tokens; openai)",
    )
    made.add_argument(
        "--hold", action="store_true", help="show nothing of an answer before all of it was judged; streams wait"
    )
    made.add_argument(
        "--classifier", action="append", metavar="NAME", help="that looks at content (rules); several times for more"
    )
    made.add_argument("--pass-up", action="append", default=[], metavar="HEADER", help="goes on to the model server")
    made.add_argument("--pass-down", action="append", default=[], metavar="HEADER", help="and comes back")


def _add_connections(made: argparse.ArgumentParser) -> None:
    made.add_argument("--listen", default="127.0.0.1:8443", metavar="HOST:PORT", help="127.0.0.1:8443")
    made.add_argument("--tls-certificate", type=Path, metavar="PEM", help="of this proxy")
    made.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    made.add_argument(
        "--tls-client-authority",
        type=Path,
        metavar="PEM",
        help="whose certificates clients may show, for capabilities that are bound to one",
    )
    made.add_argument(
        "--behind-tls", action="store_true", help="something that speaks TLS stands before it, on a network of its own"
    )
    made.add_argument("--upstream-authority", type=Path, metavar="PEM", help="verifies the model server's certificate")
    made.add_argument(
        "--upstream-key", type=Path, metavar="FILE", help="holds the key that the model server wants (Bearer)"
    )


def api_of(given: argparse.Namespace) -> Api:
    """Return how the model server is spoken to.

    Raises:
        ValueError: an option is for another API.
    """
    foreign = {
        "openai": {"--path": given.path, "--opaque": given.opaque},
        "kserve": {"--path": given.path, "--opaque": given.opaque, "--media": given.media},
        "plain": {"--media": given.media},
    }[given.api]
    named = [option for option, value in foreign.items() if value]
    if named:
        raise ValueError(f"{', '.join(named)}: not with --api {given.api}")
    if given.api == "plain":
        return Plain(given.path, given.opaque)
    return KServe() if given.api == "kserve" else OpenAi(given.limit_member, media=given.media)


def models_of(given: argparse.Namespace) -> list[Served]:
    """Return the models that are served.

    Raises:
        ValueError: one is named twice, or a digest is of none of them.
    """
    named = _pairs("--model", given.model, needs_value=False)
    digests = _pairs("--digest", given.digest)
    others = sorted(digests.keys() - named.keys())
    if others:
        raise ValueError(f"--digest: no --model is named {', '.join(others)}")
    return [Served(name, there or None, digests.get(name)) for name, there in named.items()]


def limits_of(given: argparse.Namespace) -> Limits:
    """Return the bounds.

    Raises:
        ValueError: one is none, or no number.
    """
    kinds: Mapping[str, Callable[[str], float]] = {
        one.name: int if isinstance(one.default, int) else float for one in fields(Limits)
    }
    found: dict[str, float] = {}
    for name, value in _pairs("--limit", given.limit).items():
        if name not in kinds:
            raise ValueError(f"--limit: there is no {name}; there are {', '.join(kinds)}")
        try:
            found[name] = kinds[name](value)
        except ValueError:
            raise ValueError(f"--limit: {name} is a number, and {value!r} is none") from None
    return Limits(**found)  # type: ignore[arg-type] # each has the type of its default


def address_of(given: argparse.Namespace) -> tuple[str, int]:
    """Return where the proxy listens.

    Raises:
        ValueError: it is no address, or one that others reach, without TLS.
    """
    host, _, port = given.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise ValueError(f"--listen: {given.listen!r} is no address such as 127.0.0.1:8443")
    host = host.strip("[]")
    if not (_is_loopback(host) or given.tls_certificate is not None or given.behind_tls):
        raise ValueError(
            f"on {host} prompts and answers would pass in the clear: give --tls-certificate and --tls-key, or "
            "--behind-tls where something that speaks TLS stands before it"
        )
    return host, int(port)


def tls_of(given: argparse.Namespace) -> ssl.SSLContext | None:
    """Return how connections are taken; none without TLS.

    Raises:
        OSError: a file cannot be used.
        ValueError: one of them is missing.
    """
    if (given.tls_certificate is None) != (given.tls_key is None):
        raise ValueError("give --tls-certificate and --tls-key together, or neither")
    if given.tls_certificate is None:
        if given.tls_client_authority is not None:
            raise ValueError("--tls-client-authority: clients show certificates over TLS alone; give --tls-certificate")
        return None
    context = server_context(given.tls_certificate, given.tls_key)
    if given.tls_client_authority is not None:
        context.load_verify_locations(cafile=str(given.tls_client_authority))
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def key_of(given: argparse.Namespace) -> Mapping[str, str]:
    """Return the header with the key that the model server wants; empty without one.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no key.
    """
    if given.upstream_key is None:
        return {}
    key = given.upstream_key.read_text(encoding="ascii", errors="replace").strip()
    if not key or len(key) > _MAX_KEY_CHARS or not key.isprintable() or not key.isascii() or " " in key:
        raise ValueError(f"--upstream-key: {given.upstream_key} holds no key: one line of ASCII without spaces")
    return {"authorization": f"Bearer {key}"}


def _pairs(option: str, values: Sequence[str], *, needs_value: bool = True) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in values:
        name, _, value = one.partition("=")
        if not name or name in found or (needs_value and not value):
            raise ValueError(f"{option}: {one!r} is no NAME=VALUE, or its name is there twice")
        found[name] = value
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
