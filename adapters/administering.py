"""What operators and administrators do: devices, enrolment tokens, signing keys, and tokens that were handed out."""

from collections.abc import Sequence
from urllib.parse import urlencode

from adapters.calls import FORM, Calls, segment
from adapters.wire import read_answer
from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.decision import DecisionQuery, DecisionRecord, DecisionsFound
from controlplane.contracts.identity import Device, DeviceStatus, IssuedTokens, StatusChange, TokensRequest
from controlplane.contracts.keys import KeyStanding, KeyStandings, KeyWithdrawal
from controlplane.contracts.models import (
    ModelVersion,
    VersionDetail,
    VersionRequest,
    VersionsFound,
    VersionWithdrawal,
)
from controlplane.contracts.oauth import Introspection
from controlplane.contracts.rollback import (
    Contribution,
    ContributionsFound,
    Rollback,
    RollbackOrder,
    RollbacksFound,
    RollbackState,
)
from controlplane.contracts.standing import BehaviourFound, BehaviourStanding, DeviceBehaviour
from controlplane.transparency.proofs import LogKeys, RecordProof


class Administering(Calls):
    """The calls of those who run a federation; policy says who may make which (`policies/ztfm/admin`)."""

    async def decision(self, decision_id: str) -> DecisionRecord:
        """Return a recorded decision with the facts behind it."""
        return read_answer(DecisionRecord, await self._get(f"/v1/decisions/{segment(decision_id)}"))

    async def decision_proof(self, decision_id: str) -> RecordProof:
        """Return a recorded decision and that it is in the log; `controlplane.transparency.proofs` checks it."""
        return read_answer(RecordProof, await self._get(f"/v1/decisions/{segment(decision_id)}/proof"))

    async def log_keys(self) -> LogKeys:
        """Return the keys of the log and its witnesses: to be kept, and compared with what others were given."""
        return read_answer(LogKeys, await self._get("/v1/log/keys"))

    async def decisions(
        self, query: DecisionQuery | None = None, *, limit: int = 50, page_token: str = ""
    ) -> DecisionsFound:
        """Return a page of recorded decisions, newest first; `next_token` of one page is the token of the next.

        Args:
            query: which ones; whoever is no operator asks for its own, by ``subject``.
            limit: decisions a page at most, up to 200.
            page_token: of the page before; none for the first.
        """
        asked = {} if query is None else query.model_dump(exclude_none=True)
        stated = {**asked, "limit": limit, **({"page_token": page_token} if page_token else {})}
        return read_answer(DecisionsFound, await self._get(f"/v1/decisions?{urlencode(stated)}"))

    async def device(self, device_id: str) -> Device:
        """Return how a device stands."""
        return read_answer(Device, await self._get(f"/v1/devices/{segment(device_id)}"))

    async def device_behaviour(self, device_id: str, limit: int = 20) -> DeviceBehaviour:
        """Return how a device stands by its behaviour, and the latest verdicts on it, up to 50."""
        path = f"/v1/devices/{segment(device_id)}/behaviour?{urlencode({'limit': limit})}"
        return read_answer(DeviceBehaviour, await self._get(path))

    async def standings(self, state: BehaviourState | None = None, limit: int = 50) -> list[BehaviourStanding]:
        """Return subjects by the evidence against them, most first.

        Args:
            state: those in it alone.
            limit: so many at most, up to 200.
        """
        asked = {"limit": limit, **({"state": state} if state is not None else {})}
        return read_answer(BehaviourFound, await self._get(f"/v1/behaviour?{urlencode(asked)}")).subjects

    async def set_status(self, device_id: str, status: DeviceStatus, reason: str) -> Device:
        """Quarantine, release or revoke a device; its capabilities end with it, everywhere within a second.

        Args:
            device_id: which.
            status: ``active`` releases it, ``revoked`` is final.
            reason: for the record; printable ASCII, nothing secret.
        """
        change = StatusChange(status=status, reason=reason)
        return read_answer(Device, await self._post(f"/v1/devices/{segment(device_id)}/status", change))

    async def order_rollback(self, round_id: str, subjects: Sequence[str], reason: str) -> Rollback:
        """Order that a model be rebuilt without what some subjects contributed in or after one of its rounds.

        Args:
            round_id: the first round that is done again.
            subjects: whose updates are left out.
            reason: for the record; printable ASCII, nothing secret.

        Returns:
            The order; one that covers it already, when there is one.
        """
        request = RollbackOrder(subjects=list(subjects), reason=reason)
        return read_answer(Rollback, await self._post_once(f"/v1/rounds/{segment(round_id)}/rollback", request))

    async def rollbacks(
        self, *, model: str | None = None, state: RollbackState | None = None, limit: int = 100
    ) -> list[Rollback]:
        """Return orders to rebuild a model, newest first, and what became of them."""
        stated = {"model": model, "state": state, "limit": limit}
        query = urlencode({name: value for name, value in stated.items() if value is not None})
        return read_answer(RollbacksFound, await self._get(f"/v1/rollbacks?{query}")).rollbacks

    async def contributions(self, round_id: str) -> list[Contribution]:
        """Return whose updates went into a round's model."""
        found = read_answer(ContributionsFound, await self._get(f"/v1/rounds/{segment(round_id)}/contributions"))
        return found.contributions

    async def register_version(self, model: str, bundle: str, tensors: str | None = None) -> VersionDetail:
        """Register what somebody signed; one that is registered already stays as it is.

        Args:
            model: its identifier.
            bundle: the text of ``model.sig``.
            tensors: the text of ``ztfm-tensors.json``, where the model has it.
        """
        path = f"/v1/models/{segment(model)}/versions"
        return read_answer(VersionDetail, await self._post(path, VersionRequest(bundle=bundle, tensors=tensors)))

    async def model_versions(self, model: str, limit: int = 50) -> list[ModelVersion]:
        """Return the versions of a model, the latest first, up to 200."""
        path = f"/v1/models/{segment(model)}/versions?{urlencode({'limit': limit})}"
        return read_answer(VersionsFound, await self._get(path)).versions

    async def model_version(self, model: str, version: str) -> VersionDetail:
        """Return a version with all that was signed; `controlplane.transparency.modelsignatures` verifies it again."""
        return read_answer(VersionDetail, await self._get(f"/v1/models/{segment(model)}/versions/{segment(version)}"))

    async def withdraw_version(self, model: str, version: str, reason: str) -> VersionDetail:
        """Withdraw a version: no more capabilities to pull it are given from a second later on.

        Args:
            model: its identifier.
            version: which.
            reason: for the record; nothing secret.
        """
        path = f"/v1/models/{segment(model)}/versions/{segment(version)}/withdraw"
        return read_answer(VersionDetail, await self._post(path, VersionWithdrawal(reason=reason)))

    async def issue_tokens(
        self, roles: Sequence[str], segment: str, *, hours: float = 1.0, count: int = 1
    ) -> IssuedTokens:
        """Issue single-use enrolment tokens; they are shown now and never again."""
        request = TokensRequest(roles=list(roles), segment=segment, hours=hours, count=count)
        return read_answer(IssuedTokens, await self._post_once("/v1/enrolment-tokens", request))

    async def signing_keys(self) -> list[KeyStanding]:
        """Return where the signing keys stand, in the order in which they sign."""
        return read_answer(KeyStandings, await self._get("/v1/keys")).keys

    async def rotate_keys(self) -> KeyStanding:
        """Publish the next signing key; it signs once enforcement points have it."""
        return read_answer(KeyStanding, (await self._ask("POST", "/v1/keys", welcome=(202,))).body)

    async def withdraw_key(self, kid: str, reason: str) -> KeyStanding:
        """Withdraw a signing key at once: whatever it signed is void.

        Args:
            kid: which.
            reason: for the record and for enforcement points; printable ASCII, nothing secret.
        """
        withdrawal = KeyWithdrawal(reason=reason)
        return read_answer(KeyStanding, await self._post(f"/v1/keys/{segment(kid)}/withdraw", withdrawal))

    async def introspect(self, token: str) -> Introspection:
        """Return what a token is worth now, as policy stands (RFC 7662)."""
        answer = await self._ask("POST", "/oauth/introspect", _form(token), media_type=FORM)
        return read_answer(Introspection, answer.body)

    async def revoke(self, token: str) -> None:
        """Make a token void, everywhere within a second (RFC 7009); one that holds nowhere is no error."""
        await self._ask("POST", "/oauth/revoke", _form(token), media_type=FORM)


def _form(token: str) -> bytes:
    return urlencode({"token": token}).encode()
