"""What Prometheus Alertmanager sends to a webhook (version 4), and what becomes of it.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, model_validator

from controlplane.contracts.access import AccessReason
from controlplane.contracts.base import Identifier, LenientModel, Name, StrictModel, Timestamp
from controlplane.contracts.holds import Fingerprint, Hold

MAX_ALERTS = 64
"""Alerts of one delivery; ``max_alerts`` of the receiver keeps Alertmanager below it."""

MAX_LABELS = 64

MAX_ALERT_BODY_BYTES = 128 * 1024

MAX_ALERT_AGE_SECONDS = 3_600.0
"""An alert that began, or was resolved, longer ago than that asks for nothing, whatever policy says."""

MAX_ALERT_AHEAD_SECONDS = 60.0
"""How far the clock of whoever raises alerts may be ahead."""

_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$", re.ASCII)


def _is_moment(text: str) -> str:
    if _RFC3339.fullmatch(text) is None:
        raise ValueError("it is no time of RFC 3339 such as 2026-03-01T12:00:00Z")
    datetime.fromisoformat(text)
    return text


Moment = Annotated[str, StringConstraints(max_length=40), AfterValidator(_is_moment)]
"""A time of RFC 3339; year 1 stands for none, as Go has it."""

_NAME: TypeAdapter[str] = TypeAdapter(Name)

AlertStatus = Literal["firing", "resolved"]

LabelValue = Annotated[str, StringConstraints(max_length=512)]

Labels = Annotated[dict[Name, LabelValue], Field(max_length=MAX_LABELS)]

Annotations = Annotated[dict[Name, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=MAX_LABELS)]


class Alert(LenientModel):
    """One alert of a delivery.

    Attributes:
        labels: name the alert (``alertname``), how bad it is (``severity``), and where (``segment``).
        annotations: for people; nothing reads them here.
        startsAt: since when it fires.
        endsAt: when it was resolved; in the future, or year 1, while it fires.
        generatorURL: where it comes from; nothing reads it here.
        fingerprint: Alertmanager's name of the alert, which follows from its labels.
    """

    status: AlertStatus
    labels: Labels
    annotations: Annotations = Field(default_factory=dict)
    startsAt: Moment  # noqa: N815 - Alertmanager's own name
    endsAt: Moment  # noqa: N815 - Alertmanager's own name
    generatorURL: Annotated[str, StringConstraints(max_length=4096)] = ""  # noqa: N815 - Alertmanager's own name
    fingerprint: Fingerprint

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        if "alertname" not in self.labels:
            raise ValueError("an alert without the label alertname has no name")
        for name in ("alertname", "severity", "segment"):
            _NAME.validate_python(self.labels.get(name, "none"), strict=True)
        if self.ended_at is not None and self.ended_at < self.started_at:
            raise ValueError("it was resolved before it began")
        return self

    @property
    def started_at(self) -> float:
        """Since when it fires, Unix seconds."""
        return _seconds(self.startsAt)

    @property
    def ended_at(self) -> float | None:
        """When it was resolved, Unix seconds; none while it fires."""
        return _seconds(self.endsAt) if self.status == "resolved" else None


class AlertDelivery(LenientModel):
    """A delivery of Alertmanager; of members that are not named here, none is read.

    Attributes:
        version: of this form.
        receiver: the receiver of Alertmanager's configuration that sends it.
        status: ``firing`` while any of the alerts is.
        groupKey: names the group of alerts; nothing reads it here.
        alerts: each is decided on by itself.
    """

    version: Literal["4"]
    receiver: Name
    status: AlertStatus
    groupKey: Annotated[str, StringConstraints(max_length=4096)]  # noqa: N815 - Alertmanager's own name
    alerts: Annotated[list[Alert], Field(min_length=1, max_length=MAX_ALERTS)]


class AlertFact(StrictModel):
    """An alert as policy sees it.

    Attributes:
        severity: its label, where it has one.
        segment: its label, where it has one; nobody has looked yet whether there is such a segment.
        started_at: since when it fires; Unix seconds, as is ``ended_at``.
        ended_at: when it was resolved; none while it fires.
    """

    name: Name
    severity: Name | None = None
    segment: Name | None = None
    status: AlertStatus
    fingerprint: Fingerprint
    started_at: Timestamp
    ended_at: Timestamp | None = None


AlertResponse = Literal["denied", "full", "hold", "late", "nothing", "release"]
"""What became of an alert: policy lets it ask for nothing (``denied``), no more can be held (``full``), it holds, it is
too old to be asked about (``late``), policy has nothing done (``nothing``), or a hold is ended."""


class AlertAnswered(StrictModel):
    """What became of one alert.

    Attributes:
        fingerprint: of the alert.
        decision_id: of the decision; none for one that is late.
        reasons: why it was denied.
        hold: that it asks for, or that it ended; none where there is none.
    """

    fingerprint: Fingerprint
    response: AlertResponse
    decision_id: Identifier | None = None
    reasons: list[AccessReason] = Field(default_factory=list)
    hold: Hold | None = None


class AlertsAnswered(StrictModel):
    """What became of a delivery, in its order."""

    alerts: list[AlertAnswered]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
