"""Add an update to a secure sum over HTTP: ask for each stage, answer it. Needs NumPy, and no torch."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from adapters.credentials import Credentials, RoundTerms
from adapters.errors import Conflict, Unavailable
from adapters.jobs.masking import Masking
from adapters.member import Member
from adapters.secureaggregation import SecureAggregationError
from adapters.secureaggregation.messages import Stage
from adapters.secureaggregation.relaying import STAGES

Send = Callable[[str, str, bytes, Credentials], bytes]
"""Sends a signed request by method, path, body and what is shown; returns what comes back."""


def add_up(member: Member, send: Send, terms: RoundTerms, update: Path, examples: int) -> str:
    """Take part in the sum of the device's group until it has revealed what it holds; return its values' digest.

    Args:
        member: the device.
        send: carries a message.
        terms: of the round.
        update: safetensors file, trained minus received.
        examples: training examples behind it; they are not sent.

    Raises:
        ControlPlaneError: policy or the aggregator says no; `Unavailable` when the sum goes on without this device.
        UnfitFileError: the file is no safetensors file that can be screened.
        OSError: it cannot be read.
    """
    # Training took its time: who begins shows that it may still have the weights.
    shown = member.pull(terms)

    def path(stage: Stage) -> str:
        return f"/v1/rounds/{quote(terms.round_id, safe='')}/sum/{stage}"

    def due(stage: Stage) -> bytes:
        found = b""
        while not found:
            found = send("GET", path(stage), b"", shown)
        return found

    try:
        masking = Masking(member, terms, update, examples, due("advertise"))
        for stage in STAGES:
            answer = masking.answer(stage, b"" if stage == "advertise" else due(stage))
            own = masking.shown if stage == "mask" else None
            send("POST", path(stage), answer, own or shown)
    except SecureAggregationError as error:
        raise Unavailable(f"this device takes no further part in the sum: {error}") from None
    except Conflict as error:
        raise Unavailable(f"the sum goes on without this device, or came to nothing: {error}") from None
    return masking.digest
