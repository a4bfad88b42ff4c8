"""What the control plane counted, read from its Prometheus metrics like any monitoring would."""

from collections.abc import Iterator
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from controlplane.capabilities.nonces import NONCE_CAUSES
from controlplane.contracts.access import ACTIONS

OUTCOMES = ("allow", "deny", "error")
TIMEOUT_SECONDS = 10.0


def decisions_and_refusals(url: str, token: str) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """How often each outcome was given, by action; and how often credentials did not hold, by cause.

    Being asked for a fresh nonce counts for nothing: it happens to everybody who was silent for a minute.

    Args:
        url: of the control plane.
        token: of its metrics.

    Raises:
        OSError: the control plane does not answer.
    """
    decisions = {action: dict.fromkeys(OUTCOMES, 0) for action in ACTIONS}
    refusals: dict[str, int] = {}
    for sample in _samples(url, token):
        if sample.name == "ztfm_decisions_total" and sample.labels["action"] in decisions:
            decisions[sample.labels["action"]][sample.labels["outcome"]] = int(sample.value)
        is_refusal = sample.name == "ztfm_capabilities_refused_total" and sample.labels["cause"] not in NONCE_CAUSES
        if is_refusal and sample.value:
            refusals[sample.labels["cause"]] = int(sample.value)
    return decisions, refusals


def decided(url: str, token: str) -> tuple[int, float]:
    """How many decisions were given, of all actions, and how many seconds they took together.

    Args:
        url: of the control plane.
        token: of its metrics.

    Raises:
        OSError: the control plane does not answer.
    """
    count, seconds = 0, 0.0
    for sample in _samples(url, token):
        count += int(sample.value) if sample.name == "ztfm_decision_duration_seconds_count" else 0
        seconds += sample.value if sample.name == "ztfm_decision_duration_seconds_sum" else 0.0
    return count, seconds


def _samples(url: str, token: str) -> Iterator[Sample]:
    request = Request(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own URL
    with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own control plane's URL
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        yield from family.samples
