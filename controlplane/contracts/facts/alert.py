"""What is done about an alert."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.alerts import AlertFact
from controlplane.contracts.base import Count, Name, StrictModel, Timestamp
from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.holds import HoldsFact


class AlertSource(StrictModel):
    """Who tells of an alert: a receiver of Alertmanager, by its name."""

    type: Literal["alertmanager"]
    id: Name


class AlertAction(StrictModel):
    """The action of an alert that asks for a response."""

    name: Literal["alert"]


class AlertResource(StrictModel):
    """The alert, by its name."""

    type: Literal["alert"]
    id: Name


class AlertContext(StrictModel):
    """Circumstances of an alert.

    Attributes:
        policy_revision: that decided when the alert came; empty when none was known.
        subjects: how many stand where; a state without any is absent.
        holds: all that is held.
    """

    time: Timestamp
    alert: AlertFact
    policy_revision: Annotated[str, StringConstraints(max_length=256)]
    subjects: Annotated[dict[BehaviourState, Count], Field(max_length=8)]
    holds: HoldsFact


class AlertFacts(StrictModel):
    """Input of ``data.ztfm.alert``: what is to be done because of an alert."""

    subject: AlertSource
    action: AlertAction
    resource: AlertResource
    context: AlertContext
