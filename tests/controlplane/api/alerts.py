"""Deliveries as Alertmanager sends them."""

from datetime import UTC, datetime
from typing import Any

from tests.support import ControlPlane, Reply

PATH = "/v1/alerts"
CAMPAIGN = "ZtfmPoisoningCampaign"
FINGERPRINT = "0f1e2d3c4b5a6978"


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def alert(now: float, name: str = CAMPAIGN, **changes: Any) -> dict[str, Any]:
    """Return an alert that fires since 30 s; a label that is none is left out."""
    labels = {"alertname": name, "severity": "ticket", "segment": "homes", "job": "ztfm", **changes.pop("labels", {})}
    return {
        "status": "firing",
        "labels": {label: value for label, value in labels.items() if value is not None},
        "annotations": {"summary": "4 subjects of segment homes were quarantined in 30 minutes."},
        "startsAt": moment(now - 30.0),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
        "fingerprint": FINGERPRINT,
        **changes,
    }


def delivery(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a delivery, with all that Alertmanager documents."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="ZtfmPoisoningCampaign"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "ztfm-policy",
        "groupLabels": {"alertname": CAMPAIGN},
        "commonLabels": {"alertname": CAMPAIGN, "severity": "ticket"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
        **changes,
    }


def told(plane: ControlPlane, *alerts: dict[str, Any], token: str | None = None, **changes: Any) -> Reply:
    """Tell of alerts as whoever holds the token does."""
    held = plane.services.access.alerts_token if token is None else token
    return plane.call("POST", PATH, delivery(*alerts, **changes), headers={"Authorization": f"Bearer {held}"})
