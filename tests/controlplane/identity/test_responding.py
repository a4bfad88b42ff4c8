"""What is done about findings: policy is asked once in a while, and nothing is done where it cannot be."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.identity import Device, DeviceStatus
from controlplane.identity.comparing import Finding
from controlplane.identity.responding import AGAIN_SECONDS, Responding
from tests.clocks import Clock


@dataclass
class Policy:
    """Answers as it is told; what policy itself decides is tested in Rego and on a control plane that runs."""

    status: Literal["quarantined", "revoked"] | None = "quarantined"
    outcome: Literal["allow", "deny", "error"] = "allow"
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        assert package == "identity"
        self.asked.append(facts)
        return Decision(
            id=f"dec-{len(self.asked)}",
            time=1.0,
            action="identity",
            subject="log",
            resource="dev-1",
            outcome=self.outcome,
            reasons=[],
            obligations=Obligations(status=self.status if self.outcome == "allow" else None),
            rules=[],
            ttl_seconds=0.0,
            policy_revision="r",
        )


@dataclass
class Devices:
    known: dict[str, Device]

    async def get(self, device_id: str) -> Device | None:
        return self.known.get(device_id)

    async def set_status(self, device_id: str, status: DeviceStatus, *, initiator: str = "admin") -> bool:
        assert initiator == "policy"
        self.known[device_id] = self.known[device_id].model_copy(update={"status": status})
        return True


@dataclass
class Shown:
    findings: list[Finding] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)

    def found(self, finding: Finding) -> None:
        self.findings.append(finding)

    def responded_to(self, finding: Finding, status: DeviceStatus, decision_id: str) -> None:
        self.responses.append(status)


@pytest.fixture
def device(new_device: Any) -> Device:
    made: Device = new_device()
    return made


def responding(policy: Policy, device: Device, clock: Clock) -> tuple[Responding, Devices, Shown]:
    devices, shown = Devices({device.id: device}), Shown()
    return Responding("log", policy, devices, shown, clock), devices, shown


async def test_the_same_finding_is_told_once_and_asked_about_now_and_then(device: Device, clock: Clock) -> None:
    policy = Policy(status=None)
    one, _, shown = responding(policy, device, clock)
    finding = Finding("late", device.id, "x")
    for _ in range(3):
        await one.respond([finding])
    assert (len(shown.findings), len(policy.asked)) == (1, 1)
    clock.now += AGAIN_SECONDS
    await one.respond([finding])
    assert (len(shown.findings), len(policy.asked)) == (1, 2)


async def test_what_policy_decides_is_done(device: Device, clock: Clock) -> None:
    one, devices, shown = responding(Policy(), device, clock)
    await one.respond([Finding("other_key", device.id, "x")])
    assert devices.known[device.id].status == "quarantined"
    assert shown.responses == ["quarantined"]


async def test_policy_hears_how_many_were_found_together(device: Device, clock: Clock) -> None:
    policy = Policy(outcome="deny")
    one, devices, _ = responding(policy, device, clock)
    others = [Finding("unrecorded", f"dev-{number}", "x") for number in range(60)]
    await one.respond([Finding("other_key", device.id, "x"), *others])
    assert [asked["context"]["finding"]["together"] for asked in policy.asked] == [61]
    assert devices.known[device.id].status == "active"


async def test_while_policy_cannot_be_asked_it_is_asked_again(device: Device, clock: Clock) -> None:
    policy = Policy(outcome="error")
    one, devices, shown = responding(policy, device, clock)
    finding = Finding("other_key", device.id, "x")
    await one.respond([finding])
    policy.outcome = "allow"
    await one.respond([finding])
    assert devices.known[device.id].status == "quarantined"
    assert shown.responses == ["quarantined"]


async def test_a_ledger_that_lied_is_told_of_and_no_device_suffers(device: Device, clock: Clock) -> None:
    policy = Policy()
    one, _, shown = responding(policy, device, clock)
    await one.respond([Finding("ledger_lied", "log", "x")])
    assert (len(shown.findings), policy.asked) == (1, [])


async def test_what_others_write_onto_a_ledger_does_not_hide_a_revocation_there(device: Device, clock: Clock) -> None:
    policy = Policy(status="revoked")
    one, devices, _ = responding(policy, device, clock)
    noise = [Finding("refused_record", f"dev-{number}", "x") for number in range(100)]
    await one.respond([*noise, Finding("late", "dev-1", "x"), Finding("revoked_elsewhere", device.id, "x")])
    assert [facts["context"]["finding"]["together"] for facts in policy.asked] == [1]
    assert devices.known[device.id].status == "revoked"


async def test_many_devices_that_differ_are_counted_together(device: Device, clock: Clock) -> None:
    policy = Policy(status=None)
    one, _, _ = responding(policy, device, clock)
    others = [Finding(kind, f"dev-{number}", "x") for number in range(30) for kind in ("unrecorded", "other_key")]
    await one.respond([*others, Finding("revoked_elsewhere", device.id, "x")])
    assert [facts["context"]["finding"]["together"] for facts in policy.asked] == [61]
