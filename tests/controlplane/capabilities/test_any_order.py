"""Capabilities issued, presented, spent, revoked, their keys rotated and withdrawn, with restarts: each holds exactly
while it may."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.keyring import KeyRing
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.sealing import Sealer
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints
from controlplane.jose.keys import DeviceKey, SigningKey, jwks
from controlplane.storage import Store, open_store
from tests.clocks import Clock
from tests.controlplane.capabilities.announced import Replica
from tests.controlplane.capabilities.conftest import AUDIENCE, ISSUER, TARGET
from tests.controlplane.capabilities.keyrings import SEALING_KEY
from tests.machines import Machine, few

TTL = 60.0
DETAIL = AuthorizationDetail(
    type="ztfm",
    action="gradient_submission",
    resource_type="model",
    resource_id="intents",
    constraints=Constraints(round_id="r1"),
)
DEVICES = [DeviceKey.generate() for _ in range(2)]
EVENTS = SigningKey.generate()


@dataclass
class Issued:
    """A capability, and what became of it."""

    token: str
    claims: CapabilityClaims
    kid: str
    device: DeviceKey
    is_void: bool = False
    uses: int = 0


class Capabilities(Machine):
    """Knows which capabilities must hold."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.issued: list[Issued] = []

    @initialize()
    def begin(self) -> None:
        self.store = self.run_now(open_store(f"sqlite+aiosqlite:///{self.folder / 'ztfm.db'}"))
        self.replica = Replica(self.store, self.clock, EVENTS)
        ring = KeyRing(self.clock, lambda: 0.0)
        self.keys = KeyKeeper(self.store.signing_keys, Sealer(SEALING_KEY), ring, self.clock, self.replica.revoker)
        self.run_now(self.keys.open())
        self.minter = Minter(self.keys.ring.current, ISSUER, self.clock)
        self.verifier = CapabilityVerifier(jwks(()), ISSUER, AUDIENCE, self.clock, standings=self.replica.revoker)

    async def close(self) -> None:
        if hasattr(self, "store"):
            await self.store.close()

    @rule(device=st.sampled_from(DEVICES))
    def issue(self, device: DeviceKey) -> None:
        name = f"dev-{device.thumbprint}"
        number = f"dec-{len(self.issued)}"
        token, claims = self.minter.mint(name, device.thumbprint, AUDIENCE, DETAIL, number, "rev-1", TTL)
        self.issued.append(Issued(token, claims, self.keys.ring.current().kid, device))

    @invariant()
    def each_holds_exactly_while_it_may(self) -> None:
        for one in self.issued[-6:]:
            thief = next(key for key in DEVICES if key is not one.device)
            assert not self._presented(one, thief)
            assert self._presented(one, one.device) == (not one.is_void and self.clock() < one.claims.exp)

    @precondition(lambda self: self.issued)
    @rule(data=st.data())
    def spend(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.issued))
        if not self._presented(one, one.device):
            return
        before = self.run_now(self.store.capabilities.consume({one.claims.jti: float(one.claims.exp)}))
        assert before == {one.claims.jti: one.uses}
        one.uses += 1

    @precondition(lambda self: self.issued)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.issued))
        claims = one.claims
        self.run_now(
            self.replica.revoker.revoke_capability(
                claims.jti, claims.exp, claims.decision_id, claims.iat, reason="Lost."
            )
        )
        one.is_void = True

    @rule(device=st.sampled_from(DEVICES))
    def revoke_device(self, device: DeviceKey) -> None:
        self.run_now(self.replica.revoker.revoke_subject(f"dev-{device.thumbprint}", reason="Lost."))
        for one in self.issued:
            one.is_void |= one.device is device
        # What is issued at that very moment counts as issued before.
        self.clock.now += 5.0

    @rule()
    def rotate(self) -> None:
        self.run_now(self.keys.rotate())

    @rule()
    def withdraw_key(self) -> None:
        kid = self.keys.ring.current().kid
        self.run_now(self.keys.withdraw(kid, "Leaked."))
        for one in self.issued:
            one.is_void |= one.kid == kid
        assert self.keys.ring.current().kid != kid

    @rule(seconds=st.sampled_from([1.0, 30.0, 130.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.run_now(self.keys.refresh())

    @rule()
    def restart(self) -> None:
        self.run_now(self.store.close())
        self.begin()

    def _presented(self, one: Issued, key: DeviceKey) -> bool:
        """Whether a verifier takes a capability with a proof by a key."""
        self.run_now(self.replica.broadcast.begin())
        self.verifier.update_keys(jwks(self.keys.ring.verifying()))
        proof = make_proof(key, method="SUBMIT", url=TARGET, now=self.clock(), access_token=one.token)
        found = self.verifier.verify(
            one.token,
            proof=proof,
            method="SUBMIT",
            url=TARGET,
            action="gradient_submission",
            resource_id="intents",
            round_id="r1",
        )
        return not isinstance(found, Refused)


def test_capabilities_in_any_order() -> None:
    run_state_machine_as_test(Capabilities, settings=few(8, 16))  # type: ignore[no-untyped-call]
