"""One device of a fleet: its key, whether it is enrolled already, and its enrolment, which happens once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.client import ControlPlane
from adapters.credentials import subject_of
from adapters.enrolment import Identity
from adapters.errors import (
    Conflict,
    ControlPlaneError,
    Denied,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from adapters.fleet.errors import Fault, FleetError
from adapters.fleet.folders import Station
from adapters.fleet.lines import Line
from adapters.fleet.pace import Pace
from adapters.fleet.tokens import Tokens
from adapters.presenting import Certificates, Credential, Evidence
from controlplane.capabilities.errors import KeyFileError
from controlplane.contracts.identity import Device, Enrolled
from controlplane.jose.keys import DeviceKey

TRIES = 5
"""That one device has with a control plane that answers others."""

Connect = Callable[[DeviceKey], ControlPlane]
"""Returns a control plane that is spoken to with a key."""


@dataclass(frozen=True)
class Known:
    """A device that is enrolled.

    Attributes:
        id: its name at the control plane.
        issuer: whose capabilities it is given.
        was_found: an earlier run enrolled it and did not live to write it down.
    """

    id: str
    issuer: str
    was_found: bool


class Enrolling:
    """Enrols devices, each once.

    Args:
        station: keeps their keys.
        files: folder from which the file's paths begin.
        connect: to the control plane.
        tokens: for those that show nothing.
        pace: of the run.
    """

    def __init__(self, station: Station, files: Path, connect: Connect, tokens: Tokens, pace: Pace) -> None:
        self._station = station
        self._files = files
        self._connect = connect
        self._tokens = tokens
        self._pace = pace

    async def enrol(self, line: Line) -> Known | Fault:
        """Return a device as it is enrolled now, or what keeps it from that.

        Its key is on disk before anything is asked. Where that was so before, the control plane is asked with it
        first: whoever died after an enrolment does not enrol twice.

        Raises:
            FleetError: no device can be enrolled.
            Stopped: the run is, before it was known.
        """
        given = None if line.key is None else self._files / line.key
        try:
            shown = await asyncio.to_thread(evidence_of, line, self._files)
            key, is_new = await asyncio.to_thread(self._station.key, line.name, given)
        except (KeyFileError, OSError, ValueError) as error:
            return Fault(line.number, line.name, f"a file of it cannot be used: {error}", "Mend that, and run again.")
        async with self._connect(key) as plane:
            found = await _Attempts(line, shown, plane, key, self._tokens, self._pace).until_known(is_new=is_new)
            if isinstance(found, Known):
                identity = Identity(url=plane.url, id=found.id, issuer=found.issuer)
                try:
                    await asyncio.to_thread(self._station.keep, line.name, identity)
                except OSError as error:
                    raise FleetError(f"{self._station.of(line.name)} cannot be written: {error.strerror}") from None
            return found


class _Attempts:
    """The attempts of one line."""

    def __init__(
        self, line: Line, shown: Evidence | None, plane: ControlPlane, key: DeviceKey, tokens: Tokens, pace: Pace
    ) -> None:
        self._line = line
        self._shown = shown
        self._plane = plane
        self._id = subject_of(key.thumbprint)
        self._tokens = tokens
        self._pace = pace
        self._token: tuple[str, float] | None = None

    async def until_known(self, *, is_new: bool) -> Known | Fault:
        """Ask until there is an answer that stands; whatever may have got through is asked about before it is repeated.

        Args:
            is_new: the key was made just now, so that nobody can know it.
        """
        tries, others, may_be_known = 0, self._pace.answers, not is_new
        while True:
            await self._pace.turn()
            try:
                known = await self._known() if may_be_known else None
                may_be_known = False
                found = known or await self._enrolled()
            except TooMany as error:
                self._pace.wait(error.retry_after, str(error))
            except Unavailable as error:
                # Where nobody gets on, it is not this device's fault.
                tries += self._pace.answers > others
                others = self._pace.answers
                self._pace.back_off(str(error))
                # It may have been enrolled all the same.
                may_be_known = may_be_known or not error.is_untouched
                if tries >= TRIES:
                    return self._fault(f"the control plane fails with it: {error}", "Look at its log, and run again.")
            except ControlPlaneError as error:
                return self._refused(error)
            else:
                self._pace.got_on()
                return found

    async def _known(self) -> Known | Fault | None:
        """Ask with the device's own key how it stands; none when nobody knows the key."""
        try:
            device = await self._plane.device(self._id)
        except (Unauthenticated, NotFound):
            return None
        except Forbidden as error:
            return self._fault(f"its key is enrolled, and is not active: {_reasons(error)}", _SHUT_OUT)
        # A control plane issues under its public URL, which is the one that proofs name.
        return self._as_stated(device, Known(device.id, self._plane.url, was_found=True))

    async def _enrolled(self) -> Known | Fault:
        line = self._line
        try:
            found = await self._plane.enrol(self._shown or await self._issued(), line.roles, line.segment)
        except Conflict as error:
            known = await self._known()
            return known or self._fault(f"what it shows was used: {error}", "Give it another token.")
        self._token = None
        return self._as_stated(found, Known(found.id, found.issuer, was_found=False))

    async def _issued(self) -> str:
        if self._token is None or not self._tokens.holds(self._token):
            self._token = await self._tokens.take(self._line.group)
        return self._token[0]

    def _as_stated(self, found: Device | Enrolled, known: Known) -> Known | Fault:
        line = self._line
        if found.id != self._id:
            raise FleetError("the control plane gives other names than this version expects: compare versions")
        if set(found.roles) != set(line.roles) or found.segment != line.segment:
            what = f"its key is enrolled as {' '.join(found.roles)} in {found.segment} already"
            return self._fault(what, "Correct the line; or have that one revoked, and give this one another name.")
        return known

    def _refused(self, error: ControlPlaneError) -> Fault:
        self._pace.got_on()
        if isinstance(error, Unauthenticated):
            raise FleetError(f"the control plane does not take this station's proofs: {error}") from None
        if self._token is not None and isinstance(error, Denied | Invalid):
            # It was not used, and the next device has as much of it.
            self._tokens.give_back(self._line.group, self._token)
        if isinstance(error, Denied):
            remedies = " ".join(reason.remedy for reason in error.reasons)
            return self._fault(f"policy does not let it enrol: {_reasons(error)}", remedies or "Ask an administrator.")
        return self._fault(f"it is refused: {error}", "Compare the versions of both sides.")

    def _fault(self, what: str, remedy: str) -> Fault:
        return Fault(self._line.number, self._line.name, what, remedy)


def _reasons(error: Denied) -> str:
    return "; ".join(f"{reason.code}: {reason.message}" for reason in error.reasons) or str(error)


def evidence_of(line: Line, folder: Path) -> Evidence | None:
    """Return what a line shows; none for one to which a token is issued.

    Args:
        line: of the file.
        folder: from which its paths begin.

    Raises:
        OSError: a file cannot be read.
        ValueError: it holds something else.
    """
    if line.credential is not None:
        return Credential.of_file(folder / line.credential)
    if line.certificates is not None:
        return Certificates.of_file(folder / line.certificates)
    return line.token


_SHUT_OUT = "Have it released; or move its folder away and run again, and it enrols with a new key."
