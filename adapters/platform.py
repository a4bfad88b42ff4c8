"""What a caller proves of the platform that it runs on: a challenge, evidence that answers it, what came of it."""

import asyncio
import math
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from adapters.attesting.interface import Attester
from adapters.calls import Calls
from adapters.calls import segment as _segment
from adapters.wire import read_answer
from controlplane.attestation.binding import binding
from controlplane.contracts.attestation import (
    AttestationRequest,
    AttestationResult,
    Challenge,
    ChallengeRequest,
    ReleaseKey,
)
from controlplane.contracts.attested import DeviceAttestation

_PATH = "/v1/attestations"


class Attesting(Calls):
    """What somebody who is enrolled shows of its platform."""

    async def challenge(self, kind: str, endorsement: Mapping[str, bytes] | None = None) -> Challenge:
        """Return a challenge for evidence of a kind; it is answered once, within its time.

        Args:
            kind: of evidence.
            endorsement: what it is made for, where its kind of evidence needs that.
        """
        request = ChallengeRequest(kind=kind)
        if endorsement is not None:
            request = ChallengeRequest(kind=kind, endorsement=_encoded(endorsement))
        return read_answer(Challenge, await self._post(f"{_PATH}/challenges", request))

    async def attest(self, attester: Attester, release_key: ReleaseKey | None = None) -> AttestationResult:
        """Show evidence of this platform, and return what policy made of it.

        Decisions read the level from then on, with its age; those of the control plane's other workers within a second.

        Args:
            attester: makes the evidence, in a thread.
            release_key: to which secrets may be sealed while the result counts; the evidence vouches for it.

        Raises:
            CannotAttest: the platform makes no evidence.
            Forbidden: policy does not accept it; ``problem.reasons`` names claims, values seen and values wanted.
            ControlPlaneError: any other of `adapters.errors`.
        """
        endorsement = await asyncio.to_thread(attester.endorsement)
        made = await self.challenge(attester.kind, endorsement)
        bound = binding(made.nonce, self._prover.key.thumbprint, release_key)
        credential = None if made.credential is None else _decoded(made.credential)
        evidence = _encoded(await asyncio.to_thread(attester.evidence, bound, credential))
        request = AttestationRequest(challenge=made.id, kind=attester.kind, evidence=evidence)
        if release_key is not None:
            request = AttestationRequest(
                challenge=made.id, kind=attester.kind, evidence=evidence, release_key=release_key
            )
        return read_answer(AttestationResult, await self._post(_PATH, request))

    async def attestation(self, device: str) -> DeviceAttestation:
        """Return what a device has proven: one's own, or any for those whom policy lets."""
        return read_answer(DeviceAttestation, await self._get(f"/v1/devices/{_segment(device)}/attestation"))


def _encoded(members: Mapping[str, bytes]) -> dict[str, str]:
    return {name: b64encode(value).decode("ascii") for name, value in members.items()}


def _decoded(members: Mapping[str, str]) -> dict[str, bytes]:
    return {name: urlsafe_b64decode(value + "=" * (-len(value) % 4)) for name, value in members.items()}


class KeptAttested:
    """Keeps a platform attested for as long as the context is entered: it attests at once, and again before time.

    Where that fails later, it is tried again, at longer and longer intervals of a minute at most; what was proven
    counts until it expires. An asynchronous context manager.

    Args:
        plane: the control plane, spoken to as the device.
        attester: makes the evidence.
        release_key: as for `Attesting.attest`.
        most_seconds: after which it attests again at the latest, however long the result counts: decisions may ask for
            a younger proof.
        failed: is told what went wrong with a renewal.
        sleep: waits.
    """

    FIRST_RETRY_SECONDS = 1.0
    LAST_RETRY_SECONDS = 60.0

    def __init__(
        self,
        plane: Attesting,
        attester: Attester,
        release_key: ReleaseKey | None = None,
        *,
        most_seconds: float = 600.0,
        failed: Callable[[Exception], None] = lambda _error: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not (math.isfinite(most_seconds) and most_seconds > 0):
            raise ValueError("most_seconds is a number above zero")
        self._plane, self._attester, self._release_key = plane, attester, release_key
        self._most_seconds, self._failed, self._sleep = most_seconds, failed, sleep
        self._result: AttestationResult | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def result(self) -> AttestationResult:
        """The latest result; it may have expired where renewals fail.

        Raises:
            RuntimeError: the context is not entered.
        """
        if self._result is None:
            raise RuntimeError("nothing was attested: enter the context first")
        return self._result

    async def __aenter__(self) -> Self:
        self._result = await self._plane.attest(self._attester, self._release_key)
        self._task = asyncio.create_task(self._renew(), name="attestation")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _renew(self) -> None:
        retry = self.FIRST_RETRY_SECONDS
        wait = self._wait()
        while True:
            await self._sleep(wait)
            try:
                self._result = await self._plane.attest(self._attester, self._release_key)
            except Exception as error:  # noqa: BLE001 - told, and tried again; the control plane grants nothing by it
                self._failed(error)
                wait, retry = retry, min(retry * 2, self.LAST_RETRY_SECONDS)
            else:
                wait, retry = self._wait(), self.FIRST_RETRY_SECONDS

    def _wait(self) -> float:
        """Return the seconds until the next renewal: two thirds of what is left, and no more than asked for."""
        left = self.result.expires_at - self._plane.clock()
        return min(max(left * 2 / 3, self.FIRST_RETRY_SECONDS), self._most_seconds)
