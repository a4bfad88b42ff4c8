"""Options of a gateway's command that say where its measurements go, and what they open."""

import argparse
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.gateway.metrics import GatewayMetrics


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--metrics`` and ``--otlp``."""
    parser.add_argument("--metrics", metavar="HOST:PORT", help="serve metrics to Prometheus there (extra: metrics)")
    parser.add_argument(
        "--otlp", metavar="URL", help="send metrics there, such as http://localhost:4318/v1/metrics (extra: otel)"
    )


@contextmanager
def reporting(given: argparse.Namespace, audience: str, models: Collection[str]) -> Iterator["GatewayMetrics | None"]:
    """Give what the options ask for, for as long as the block lasts; none where they ask for nothing.

    Args:
        given: with the options.
        audience: name of the enforcement point.
        models: that are told apart in measurements.

    Raises:
        ValueError: an option is none, or the extra that it needs is missing.
        OSError: the address cannot be had.
    """
    if given.metrics is None and given.otlp is None:
        yield None
        return
    with ExitStack() as stack:
        yield _opened(stack, given, audience, models)


def _opened(stack: ExitStack, given: argparse.Namespace, audience: str, models: Collection[str]) -> "GatewayMetrics":
    try:
        from adapters.gateway.metrics import GatewayMetrics, served
    except ModuleNotFoundError as missing:
        raise _lacks("metrics", missing) from None
    recorder = None
    if given.otlp is not None:
        if not given.otlp.startswith(("http://", "https://")):
            raise ValueError(f"--otlp: {given.otlp!r} is no URL such as http://localhost:4318/v1/metrics")
        try:
            from adapters.gateway.otlp import sending
        except ModuleNotFoundError as missing:
            raise _lacks("otel", missing) from None
        recorder = stack.enter_context(sending(given.otlp, service=audience))
    metrics = GatewayMetrics(audience, models, recorder=recorder)
    if given.metrics is not None:
        host, port = _address(given.metrics)
        stack.enter_context(served(metrics.registry, host=host, port=port))
    return metrics


def _lacks(extra: str, missing: ModuleNotFoundError) -> ValueError:
    return ValueError(f"{missing.name} is not installed: pip install 'ztfm[{extra}]'")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise ValueError(f"--metrics: {text!r} is no address such as 127.0.0.1:9465")
    return host.strip("[]"), int(port)
