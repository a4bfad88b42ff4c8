"""Who takes part: an administrator, an aggregator, and the clients of each case, enrolled as people enrol theirs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.client import SyncControlPlane
from adapters.conformance.plane import BOOTSTRAP
from adapters.credentials import Credentials, RoundTerms, subject_of
from adapters.enrolment import Identity, load_identity, load_key, make_key, store_identity
from adapters.errors import ControlPlaneError, Unavailable
from adapters.member import Member
from controlplane.contracts.decision import DecisionQuery, DecisionRecord
from controlplane.contracts.identity import DeviceStatus
from controlplane.contracts.rounds import RoundRequest

MODEL = "smart-home-intents"
SUMMED_MODEL = "keyboard-suggestions"
"""Of which policy lets sums of groups alone be seen."""

AUDIENCE = "aggregator-1"

_DECOY = "sha256:" + "d" * 64
_DECOY_SECONDS = 3600.0
_READY_SECONDS = 30.0
_REASON = "A case of the conformance kit."


class Parties:
    """Everybody who is enrolled at the kit's control plane. A context manager.

    Args:
        folder: where their folders are; who was enrolled there before is not enrolled again.
        url: of the control plane.
        state_dir: of the control plane; the bootstrap secret is there.
        clock: Unix seconds, as the control plane has them.
    """

    def __init__(self, folder: Path, url: str, state_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.aggregator = folder / "aggregator"
        self.gateway = folder / "gateway"
        self._url = url
        self._clock = clock
        chief = folder / "administrator"
        if chief.exists():
            self._administrator = Member.open(chief, clock=clock)
            return
        secret = (state_dir / BOOTSTRAP).read_text().strip()
        self._administrator = Member.enrol(chief, url, secret, roles=["administrator"], segment="core", clock=clock)
        self.enrol(self.aggregator, "aggregator", "core")
        self.enrol(self.gateway, "gateway", "core")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection."""
        self._administrator.close()

    def enrol(self, folder: Path, role: str = "trainer", segment: str = "homes") -> str:
        """Enrol somebody and return the name.

        Raises:
            ControlPlaneError: the control plane did not.
        """
        return self.enrol_all([folder], role, segment)[0]

    def enrol_all(self, folders: Sequence[Path], role: str = "trainer", segment: str = "homes") -> list[str]:
        """Enrol several alike, and return their names.

        Raises:
            ControlPlaneError: the control plane did not.
        """
        issued = self._administrator.plane.issue_tokens([role], segment, count=len(folders))
        names = []
        for folder, token in zip(folders, issued.tokens, strict=True):
            with Member.enrol(folder, self._url, token, roles=[role], segment=segment, clock=self._clock) as member:
                names.append(member.id)
        return names

    def invent(self, folder: Path) -> str:
        """Make a key that nobody enrols, and return its name."""
        name = subject_of(make_key(folder).thumbprint)
        store_identity(folder, Identity(url=self._url, id=name, issuer=self._url))
        return name

    def copy(self, of: Path, folder: Path) -> str:
        """Give a second client another one's key, and return the name that both have."""
        folder.mkdir(mode=0o700)
        for name in ("key.pem", "identity.json"):
            (folder / name).write_bytes((of / name).read_bytes())
            (folder / name).chmod(0o600)
        return load_identity(folder).id

    def open_decoy(self, name: str, members: Sequence[str]) -> RoundTerms:
        """Open a round that no job is about, and return its terms.

        Raises:
            ControlPlaneError: the control plane did not.
        """
        request = RoundRequest(
            id=name, model=MODEL, model_digest=_DECOY, members=list(members), duration_seconds=_DECOY_SECONDS
        )
        with Member.open(self.aggregator, clock=self._clock) as aggregator:
            aggregator.plane.open_round(request)
        return RoundTerms(name, MODEL, _DECOY, AUDIENCE)

    def pull(self, folder: Path, terms: RoundTerms) -> Credentials:
        """Return what somebody is given to pull a round's weights.

        Raises:
            ControlPlaneError: the control plane did not give it.
        """
        with Member(load_key(folder), SyncControlPlane(self._url, load_key(folder), clock=self._clock)) as member:
            return member.pull(terms)

    def set_status(self, subject: str, status: DeviceStatus) -> None:
        """Set somebody apart, or revoke it.

        Raises:
            ControlPlaneError: the control plane did not.
        """
        self._administrator.plane.set_status(subject, status, _REASON)

    def rotate_keys(self) -> None:
        """Have the control plane publish its next signing key.

        Raises:
            ControlPlaneError: it did not.
        """
        self._administrator.plane.rotate_keys()

    def denials(self, subject: str) -> int:
        """Return how many recorded decisions denied somebody something, 50 at most.

        Raises:
            ControlPlaneError: they could not be had.
        """
        query = DecisionQuery(subject=subject, outcome="deny")
        return len(self._administrator.plane.decisions(query, limit=50).decisions)

    def decisions(self, subject: str) -> list[DecisionRecord]:
        """Return all recorded decisions about somebody, newest first, with the facts behind each.

        Raises:
            ControlPlaneError: they could not be had.
        """
        found, token = [], ""
        while True:
            page = self._administrator.plane.decisions(DecisionQuery(subject=subject), limit=50, page_token=token)
            found += [self._administrator.plane.decision(one.id) for one in page.decisions]
            token = page.next_token
            if not token:
                return found

    def status(self, subject: str) -> DeviceStatus:
        """Return how somebody stands.

        Raises:
            ControlPlaneError: it could not be had.
        """
        return self._administrator.plane.device(subject).status

    def wait_until_ready(self) -> None:
        """Return once the control plane decides again.

        Raises:
            Unavailable: it does not, for too long.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._administrator.plane.readiness().ready:
                    return
            except ControlPlaneError:
                pass
            time.sleep(0.05)
        raise Unavailable(f"the control plane was not ready within {_READY_SECONDS:g} s")
