"""Lead the secure sums of a round's groups, and rule on what they come to: the aggregator sees the sums alone.

Each member's masked values come with its capability to submit, whose proof is over them, so that nobody else's are
added and each counts once. A group's sum is measured as an update is, beside the other groups' sums. Policy decides on
each member with the group's evidence; a group is taken whole or not at all, since nobody can take one member out of it.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adapters.credentials import Credentials
from adapters.guard.rounds import SealedRound
from adapters.screening import Manifest
from adapters.secureaggregation import Aborted, Scale, SecureAggregationError, Server, Session, Sum, Tolerance
from adapters.secureaggregation.masks import Words
from adapters.secureaggregation.messages import Masked
from adapters.secureaggregation.signing import Knows
from controlplane.capabilities.refusals import Refused

_log = logging.getLogger("ztfm.guard")

Verify = Callable[[Credentials, str, int], "Refused | None"]
"""Whether credentials hold for masked values of a digest and a size in bytes, which uses them up; or why not."""


@dataclass(frozen=True)
class Bounds:
    """What the members of a round agree on for its sums.

    Attributes:
        value: a single value of an update is cut to this size.
        bits: of the numbers that are added.
        tolerance: what a group's sum withstands.
    """

    value: float = 1.0
    bits: int = 32
    tolerance: Tolerance = field(default_factory=Tolerance)


@dataclass(frozen=True)
class Summed:
    """A group's sum.

    Attributes:
        name: of the group.
        mean: of its members' updates, in the manifest's types.
        members: in the sum, with what came with each.
        count: of them.
    """

    name: str
    mean: Mapping[str, Tensor]
    members: Mapping[str, Credentials]

    @property
    def count(self) -> int:
        """How many updates are in it."""
        return len(self.members)


class GroupServer(Server):
    """The server of one group, which adds no masked values without credentials that hold for them.

    Args:
        name: of the group.
        session: of its sum.
        members: of the group.
        knows: the keys of enrolled devices.
        verify: credentials.

    Attributes:
        refused: whose masked values were not added, and why.
        outcome: what the sum came to, or why there is none; none before it ended.
    """

    def __init__(self, name: str, session: Session, members: Sequence[str], knows: Knows, verify: Verify) -> None:
        super().__init__(session, members, knows=knows)
        self.name = name
        self.session = session
        self.members = tuple(members)
        self.knows = knows
        self.refused: dict[str, str] = {}
        self.outcome: Summed | Aborted | None = None
        self._verify = verify
        self._shown: dict[str, Credentials] = {}
        self._held: dict[str, Credentials] = {}

    def show(self, subject: str, credentials: Credentials) -> None:
        """A member's credentials for its masked values, before these."""
        self._shown[subject] = credentials

    def credentials(self) -> Mapping[str, Credentials]:
        """Return what held for masked values that were added, by member; nothing that was shown later."""
        return self._held

    def take_masked(self, sender: str, message: Masked) -> str:  # type: ignore[override]
        """Add a member's masked values, where its credentials hold for them."""
        if sender in self._held:
            # What is said of it now would be a second word on values that are in the sum.
            return super().take_masked(sender, message)
        credentials = self._shown.get(sender)
        if credentials is None or credentials.subject != sender:
            self.refused[sender] = "proof_missing"
            return "stranger"
        refused = self._verify(credentials, masked_digest(self.session, message), len(message.vector))
        if refused is not None:
            self.refused[sender] = refused.cause
            return "not_signed"
        taken = super().take_masked(sender, message)
        if not taken:
            self._held[sender] = credentials
            self.refused.pop(sender, None)
        return taken


def masked_digest(session: Session, message: Masked) -> str:
    """Return the digest of masked values in their session, which the proof of whoever sends them is over."""
    return f"sha256:{hashlib.sha256(session.digest + hashlib.sha256(message.vector).digest()).hexdigest()}"


def sessions(sealed: SealedRound, bounds: Bounds) -> list[tuple[str, Session, tuple[str, ...]]]:
    """Return each group of a round with its name and session; every member computes the same."""
    length = sealed.manifest.parameters + 1
    return [
        (
            f"group-{number}",
            Session(
                f"{sealed.terms.round_id}/{number}",
                length,
                32 if bounds.bits == 32 else 64,
                bounds.tolerance,
                max(3, len(members) // 2),
            ),
            members,
        )
        for number, members in enumerate(sealed.groups)
    ]


def encode(update: Mapping[str, object], manifest: Manifest, group: Sequence[str], bounds: Bounds) -> Words:
    """Return a member's update as words to be masked; every update weighs the same.

    Args:
        update: untrusted.
        manifest: of the round.
        group: members of it.
        bounds: of the round.

    Raises:
        Aborted: ``malformed``: the update does not fit the round, or is not finite.
    """
    if not manifest.fits(update):
        raise Aborted("malformed", "the update does not fit the round: it cannot be summed with others")
    values = np.concatenate(
        [update[name].detach().cpu().to(torch.float64).reshape(-1).numpy() for name in manifest.tensors]
    )
    try:
        return _scale(group, bounds).encode(values)
    except ValueError as error:
        raise Aborted("malformed", f"the update cannot be summed: {error}") from None


def decode(found: Sum, manifest: Manifest, group: Sequence[str], bounds: Bounds) -> dict[str, Tensor]:
    """Return the mean of the updates in a group's sum, in the manifest's types.

    Raises:
        Aborted: its members cannot have brought this sum about.
    """
    mean, _ = _scale(group, bounds).decode(found.words, len(found.clients))
    tensors, start = {}, 0
    for name, spec in manifest.tensors.items():
        size = int(np.prod(spec.shape, dtype=np.int64))
        part = torch.from_numpy(mean[start : start + size].copy())
        tensors[name] = part.reshape(spec.shape).to(spec.dtype)
        start += size
    return tensors


def finish(server: GroupServer, lead: Callable[[], Sum], manifest: Manifest, bounds: Bounds) -> None:
    """Have a group's sum made, and keep what it comes to, or why there is none, as its server's outcome.

    Args:
        server: of the group.
        lead: leads the session to its end.
        manifest: of the round.
        bounds: of the round.
    """
    try:
        found = lead()
        mean = decode(found, manifest, server.members, bounds)
    except Aborted as error:
        _log.warning("%s: no sum: %s", server.name, error)
        server.outcome = error
    except SecureAggregationError as error:
        _log.warning("%s: no sum: %s", server.name, error)
        server.outcome = Aborted("too_few", str(error))
    else:
        shown = server.credentials()
        server.outcome = Summed(server.name, mean, {name: shown[name] for name in found.clients})


def _scale(group: Sequence[str], bounds: Bounds) -> Scale:
    return Scale(bounds.value, max(2, len(group)), 32 if bounds.bits == 32 else 64)
