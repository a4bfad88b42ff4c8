"""The histograms of OpenTelemetry's semantic conventions for generative models that a gateway can fill."""

from dataclasses import dataclass

_COMMON = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One histogram.

    Attributes:
        name: as OpenTelemetry has it.
        prometheus: the same by the mapping of OpenTelemetry to Prometheus: underscores for dots, the unit at the end.
        unit: UCUM; in braces where it only says what is counted.
        description: what it measures.
        attributes: that its measurements have; ``error.type`` is left out where there is no error.
        buckets: upper bounds that the conventions advise, in its unit.
    """

    name: str
    prometheus: str
    unit: str
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...]


TOKENS = Instrument(
    "gen_ai.client.token.usage",
    "gen_ai_client_token_usage",
    "{token}",
    "Tokens of prompts and of answers.",
    (*_COMMON, "gen_ai.token.type"),
    tuple(4.0**power for power in range(14)),
)
"""Tokens of one request: its prompt's, and its answer's."""

DURATION = Instrument(
    "gen_ai.server.request.duration",
    "gen_ai_server_request_duration_seconds",
    "s",
    "Time from a request to the last byte of its answer.",
    (*_COMMON, "error.type"),
    tuple(0.01 * 2**power for power in range(14)),
)
"""Of every request, those that came to nothing too."""

FIRST_TOKEN = Instrument(
    "gen_ai.server.time_to_first_token",
    "gen_ai_server_time_to_first_token_seconds",
    "s",
    "Time from a request to the first part of its answer.",
    _COMMON,
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Of answers that streamed to their end."""

OUTPUT_TOKEN = Instrument(
    "gen_ai.server.time_per_output_token",
    "gen_ai_server_time_per_output_token_seconds",
    "s",
    "Time for each token of an answer after its first.",
    _COMMON,
    (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
"""Of answers that streamed to their end and whose tokens were counted."""

ALL = (TOKENS, DURATION, FIRST_TOKEN, OUTPUT_TOKEN)
