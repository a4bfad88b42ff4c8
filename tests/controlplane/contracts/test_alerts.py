"""Alertmanager's form is read as it is written down, within bounds, and its times are times."""

from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.alerts import MAX_ALERTS, Alert, AlertDelivery
from tests.controlplane.contracts.samples import ANSWERS

DELIVERY: dict[str, Any] = next(sample for model, sample in ANSWERS if model is AlertDelivery)
ALERT: dict[str, Any] = DELIVERY["alerts"][0]
START = 1_767_225_600.5


def test_what_alertmanager_documents_beside_it_is_passed_over() -> None:
    more = {"truncatedAlerts": 2, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "x"}
    read = AlertDelivery.model_validate({**DELIVERY, **more, "alerts": [{**ALERT, "future": [1]}]})
    assert read == AlertDelivery.model_validate(DELIVERY)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-01T00:00:00.5Z", START),
        ("2026-01-01T00:00:00.500000000Z", START),
        ("2026-01-01T02:00:00.5+02:00", START),
        ("2026-01-01T00:00:00.500000999Z", START),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
    ],
)
def test_a_time_is_read_in_each_form_that_go_writes(written: str, read: float) -> None:
    assert Alert.model_validate({**ALERT, "startsAt": written}).started_at == read


@pytest.mark.parametrize(
    "written",
    [
        *("", "now", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", 1, None),
        *(True, "2026-01-01T00:00:00,5Z", "20260101T000000Z", "2026-01-01T00:00:00.Z", "\u0662026-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_time_is_refused(written: Any) -> None:
    for name in ("startsAt", "endsAt"):
        with pytest.raises(ValidationError):
            Alert.model_validate({**ALERT, name: written})


def test_only_what_was_resolved_has_an_end() -> None:
    assert Alert.model_validate(ALERT).ended_at is None
    resolved = {**ALERT, "status": "resolved", "endsAt": "2026-01-01T00:05:00.5Z"}
    assert Alert.model_validate(resolved).ended_at == START + 300.0
    for before in ("0001-01-01T00:00:00Z", "2025-12-31T23:59:59Z"):
        with pytest.raises(ValidationError):
            Alert.model_validate({**resolved, "endsAt": before})


@pytest.mark.parametrize("name", ["alertname", "severity", "segment"])
@pytest.mark.parametrize("value", ["", "x" * 129, "a\nb", 4, None])
def test_a_label_that_policy_reads_is_a_name(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Alert.model_validate({**ALERT, "labels": {**ALERT["labels"], name: value}})


def test_an_alert_has_a_name_and_need_have_no_other_label() -> None:
    with pytest.raises(ValidationError):
        Alert.model_validate({**ALERT, "labels": {}})
    assert Alert.model_validate({**ALERT, "labels": {"alertname": "x"}}).labels == {"alertname": "x"}


def test_a_delivery_has_some_alerts_and_not_too_many() -> None:
    assert len(AlertDelivery.model_validate({**DELIVERY, "alerts": [ALERT] * MAX_ALERTS}).alerts) == MAX_ALERTS
    for alerts in ([], [ALERT] * (MAX_ALERTS + 1)):
        with pytest.raises(ValidationError):
            AlertDelivery.model_validate({**DELIVERY, "alerts": alerts})
