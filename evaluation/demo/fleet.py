"""Who takes part: homes, an aggregator, a gateway and an operator, each enrolled through the API with a token."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from adapters.member import Member
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.storage import open_store
from evaluation.demo.plane import Plane

TOKEN_SECONDS = 3600.0
HOME_ROLES = ("trainer", "consumer")


@dataclass
class Fleet:
    """Enrolled parties, each with a folder that holds its key.

    Attributes:
        url: the control plane that they enrolled at.
        state_dir: the control plane's folder, where tokens are issued.
        folder: holds one folder for each party.
        names: registered identifier of each party, by folder name.
    """

    url: str
    state_dir: Path
    folder: Path
    names: dict[str, str] = field(default_factory=dict)

    def enrol(self, names: list[str], roles: tuple[str, ...], segment: str) -> None:
        """Issue single-use tokens, as an operator does with `ztfm tokens issue`, and enrol a new key with each."""
        tokens = asyncio.run(_issue(self.state_dir, list(roles), segment, len(names)))
        for name, token in zip(names, tokens, strict=True):
            with Member.enrol(self.folder / name, self.url, token, roles=roles, segment=segment) as member:
                self.names[name] = member.id

    def member(self, name: str) -> Member:
        """Open a party; close it after use."""
        return Member.open(self.folder / name)

    def called(self, subject: str) -> str:
        """The folder name of a registered identifier, which reads better; the identifier itself where there is none."""
        return next((name for name, known in self.names.items() if known == subject), subject)


def home(device: int) -> str:
    """The folder name of a device of the task."""
    return f"home-{device:02d}"


def enrolled(plane: Plane, folder: Path, devices: int) -> Fleet:
    """Enrol everyone that a federation needs."""
    fleet = Fleet(plane.url, plane.state_dir, folder)
    fleet.enrol([home(device) for device in range(devices)], HOME_ROLES, "homes")
    for role in ("aggregator", "gateway", "operator"):
        fleet.enrol([role], (role,), "core")
    return fleet


async def _issue(state_dir: Path, roles: list[str], segment: str, count: int) -> list[str]:
    store = await open_store(f"sqlite+aiosqlite:///{state_dir / 'ztfm.db'}")
    try:
        return await EnrolmentTokens(store.tokens, time.time).issue(roles, segment, TOKEN_SECONDS, count)
    finally:
        await store.close()
