"""The topics of a job, by name. Who may use which is policy's to say (``ztfm.extra.mqtt_topic``)."""

from collections.abc import Sequence
from typing import Literal

ROOT = "ztfm"
RESOURCE = "mqtt_topic"
"""The type of resource that policy is asked about."""

Action = Literal["publish", "subscribe"]
Use = tuple[Action, str]
"""What somebody may do to a topic."""


def job_topic(audience: str) -> str:
    """Return the topic that says how a job stands; retained."""
    return f"{ROOT}/{audience}/job"


def from_topic(audience: str, device: str) -> str:
    """Return the topic of what a device asks and sends; ``+`` for all devices."""
    return f"{ROOT}/{audience}/from/{device}"


def to_topic(audience: str, device: str) -> str:
    """Return the topic of what a device is answered; ``+`` for all devices."""
    return f"{ROOT}/{audience}/to/{device}"


def sender_of(audience: str, topic: str) -> str | None:
    """Return the device that a topic of what devices ask is for, or none for another topic."""
    begin = from_topic(audience, "")
    name = topic.removeprefix(begin)
    return name if topic.startswith(begin) and name and "/" not in name else None


def uses_of_device(audience: str, device: str) -> Sequence[Use]:
    """Return what a device needs to take part in a job."""
    return (
        ("publish", from_topic(audience, device)),
        ("subscribe", to_topic(audience, device)),
        ("subscribe", job_topic(audience)),
    )


def uses_of_aggregator(audience: str) -> Sequence[Use]:
    """Return what an aggregator needs to run a job."""
    return (
        ("publish", job_topic(audience)),
        ("publish", to_topic(audience, "+")),
        ("subscribe", from_topic(audience, "+")),
    )
