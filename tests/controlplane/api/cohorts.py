"""Devices that train together, round after round, most of them honest."""

import hashlib
import itertools
import random
from collections.abc import Mapping
from typing import Any, Self

from tests.support import Caller, ControlPlane

HOSTILE = {"cosine": -0.19, "sign_agreement": 0.2, "norm_ratio": 2.9, "centrality": -0.5}
"""Within every absolute limit, and unlike anybody honest."""

_numbers = itertools.count(1)


class Cohort:
    """So many trainers, and the aggregator that opens rounds for them and reports what they send."""

    def __init__(self, plane: ControlPlane, aggregator: Caller, many: int = 8) -> None:
        self.plane, self.aggregator = plane, aggregator
        self.devices = [plane.enrol("trainer") for _ in range(many)]
        self._random = random.Random(7)

    def settled(self, rounds: int = 10) -> Self:
        """Be honest for as many rounds as peers are remembered: what others left in the control plane is over then."""
        for _ in range(rounds):
            self.round()
        return self

    def evidence(self, **changes: Any) -> dict[str, Any]:
        """Return the evidence of an honest update, or of one with other evidence."""
        near = self._random.gauss
        honest = {
            "update_digest": "sha256:" + hashlib.sha256(str(next(_numbers)).encode()).hexdigest(),
            "cosine": 0.8 + 0.02 * near(0, 1),
            "norm_ratio": 1.0 + 0.03 * near(0, 1),
            "sign_agreement": 0.7 + 0.01 * near(0, 1),
            "centrality": 0.6 + 0.02 * near(0, 1),
        }
        return {**honest, **changes}

    def round(self, others: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
        """Run one round; return the verdicts by subject. Who is granted no submission is absent.

        Args:
            others: evidence by subject, where it is not that of an honest update.
        """
        name = f"cohort-{next(_numbers)}"
        self.aggregator.open_round(name, self.devices)
        updates = []
        for device in self.devices:
            granted = device.capability("gradient_submission", round_id=name)
            if granted.status == 201:
                stated = self.evidence(**(others or {}).get(device.id, {}))
                updates.append(self.plane.report(device, granted.json["access_token"], **stated))
        body = self.aggregator.post(f"/v1/rounds/{name}/updates", {"updates": updates}).expect(200)
        return {verdict["subject"]: verdict for verdict in body["verdicts"]}

    def quarantine(self, device: Caller, most: int = 12) -> list[dict[str, Any]]:
        """Have a device send hostile updates until it is set apart; return the verdicts on it."""
        found = []
        for _ in range(most):
            found.append(self.round({device.id: HOSTILE})[device.id])
            if found[-1]["quarantined"]:
                return found
        raise AssertionError(f"not set apart after {most} hostile updates: {found[-1]}")
