"""The server of a secure sum: a state machine that is given messages and returns messages, and does nothing else.

What a client sends wrongly comes back as a word, and the client is left out as if it had gone away. That the sum cannot
be had is raised. Masked vectors are added as they come, so memory is that of one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from adapters.secureaggregation.errors import Aborted
from adapters.secureaggregation.masks import Words, can_be_agreed_with, zeros
from adapters.secureaggregation.messages import (
    Advertisement,
    Agreed,
    Agreement,
    Delivery,
    Masked,
    Revealed,
    Roster,
    SealedShares,
    Sharing,
    Stage,
    Survivors,
    SurvivorsSeen,
)
from adapters.secureaggregation.rostering import Known, advertised, read_roster
from adapters.secureaggregation.sealing import raw, text, view_digest
from adapters.secureaggregation.session import Session
from adapters.secureaggregation.signing import Knows, is_named_after, verify
from adapters.secureaggregation.unmasking import Unmasking

Refusal = Literal["", "not_signed", "twice", "late", "stranger", "malformed", "other_view"]
"""What is wrong with a client's message; empty when it was taken."""


@dataclass
class Sum:
    """What a session came to.

    Attributes:
        words: the sum, (length,).
        clients: whose values are in it.
        dropped: who advertised and is not.
        faulty: of these and those, whose messages were wrong.
    """

    words: Words
    clients: tuple[str, ...]
    dropped: tuple[str, ...]
    faulty: tuple[str, ...] = field(default=())


class Server:
    """Leads one session. Each stage takes messages until the method that ends it is called.

    Args:
        session: what it is about.
        members: who may take part.
        knows: the keys of enrolled devices.
    """

    def __init__(self, session: Session, members: Collection[str], *, knows: Knows = is_named_after) -> None:
        self._session = session
        self._members = members
        self._knows = knows
        self._stage: Stage | None = "advertise"
        self._tokens: dict[str, str] = {}
        self._keys: set[bytes] = set()
        self._sharings: dict[int, Sharing] = {}
        self._complaints: dict[int, tuple[int, ...]] = {}
        self._agreements: dict[int, str] = {}
        self._survivors: tuple[int, ...] = ()
        self._seen = ""
        self._known: Known | None = None
        self._total: Words = zeros(0, session.bits)
        self._unmasking: Unmasking | None = None
        self.faulty: set[str] = set()

    def take_advertisement(self, sender: str, message: Advertisement) -> Refusal:
        """Take in a client's keys."""
        if self._stage != "advertise":
            return "late"
        if sender in self._tokens:
            return self._refuse(sender, "twice")
        found = advertised(message.token, self._session, self._members, self._knows)
        if found is None or found.subject != sender:
            return self._refuse(sender, "not_signed")
        keys = {raw(found.mask_key), raw(found.channel_key)}
        if len(keys) < 2 or keys & self._keys or not all(map(can_be_agreed_with, keys)):
            # Whoever met such a key would give up: one member could end each sum, and nobody could say who.
            return self._refuse(sender, "malformed")
        self._keys |= keys
        self._tokens[sender] = message.token
        return ""

    def roster(self) -> Roster:
        """End the first stage; return what is sent to all that are in it.

        Raises:
            Aborted: too few are, or two have the same key.
            Unsafe: no parameters are safe for so few.
        """
        self._pass("advertise", "share")
        roster = Roster(tokens=[self._tokens[name] for name in sorted(self._tokens)])
        self._known = read_roster(roster, self._session, self._members, self._knows)
        return roster

    def take_sharing(self, sender: str, message: Sharing) -> Refusal:
        """Take in a client's sealed shares."""
        known, place, refusal = self._sender(sender, "share", self._sharings)
        if known is None or refusal:
            return refusal
        holders = [one.place for one in message.shares]
        is_sound = holders == sorted(set(holders)) and all(0 <= one < len(known.names) for one in holders)
        if not is_sound or place in holders or len(holders) != known.parameters.neighbours:
            return self._refuse(sender, "malformed")
        self._sharings[place] = message
        return ""

    def deliveries(self) -> dict[str, Delivery]:
        """End the second stage; return what is sent to each that shared.

        Raises:
            Aborted: ``too_few`` did.
        """
        known = self._end_with("share", "mask", len(self._sharings))
        self._total = zeros(self._session.length, self._session.bits)
        sharers = sorted(self._sharings)
        given: dict[int, list[SealedShares]] = {place: [] for place in sharers}
        for owner in sharers:
            for one in self._sharings[owner].shares:
                if one.place in given:
                    given[one.place].append(one.model_copy(update={"place": owner}))
        return {known.names[place]: Delivery(sharers=sharers, shares=given[place]) for place in sharers}

    def take_masked(self, sender: str, message: Masked) -> Refusal:
        """Add a client's masked values; they are not kept."""
        _, place, refusal = self._sender(sender, "mask", self._complaints)
        if refusal:
            return refusal
        if place not in self._sharings:
            return self._refuse(sender, "stranger")
        if len(message.vector) != self._total.nbytes or not set(message.unusable) <= self._sharings.keys():
            return self._refuse(sender, "malformed")
        np.add(self._total, np.frombuffer(message.vector, dtype=self._total.dtype), out=self._total)
        self._complaints[place] = message.unusable
        return ""

    def survivors(self) -> Survivors:
        """End the third stage; return what is sent to all whose values arrived.

        Raises:
            Aborted: ``too_few`` did.
        """
        known = self._end_with("mask", "agree", len(self._complaints))
        self._survivors = tuple(sorted(self._complaints))
        self._seen = view_digest(known.digest, sorted(self._sharings), self._survivors)
        return Survivors(places=list(self._survivors))

    def take_agreement(self, sender: str, message: Agreement) -> Refusal:
        """Take in a client's word on who is in the sum."""
        _, place, refusal = self._sender(sender, "agree", self._agreements)
        if refusal:
            return refusal
        if place not in self._survivors:
            return self._refuse(sender, "stranger")
        session = text(self._session.digest)
        said = verify(message.token, "secagg-survivors+jwt", SurvivorsSeen, session, self._knows)
        if said is None or said.subject != sender:
            return self._refuse(sender, "not_signed")
        if said.seen != self._seen:
            return self._refuse(sender, "other_view")
        self._agreements[place] = message.token
        return ""

    def agreed(self) -> Agreed:
        """End the fourth stage; return what is sent to all that agreed.

        Raises:
            Aborted: ``too_few`` did.
        """
        known = self._end_with("agree", "reveal", len(self._agreements))
        self._unmasking = Unmasking(known, self._sharings, self._survivors, self._complaints)
        # A quorum is enough: more signatures would be read by everybody, and prove nothing more.
        return Agreed(tokens=[self._agreements[place] for place in sorted(self._agreements)][: known.parameters.quorum])

    def take_revealed(self, sender: str, message: Revealed) -> Refusal:
        """Take in the shares that a client held; those that are not what they are marked as are left out."""
        if self._unmasking is None:
            return "late"
        _, place, refusal = self._sender(sender, "reveal", self._unmasking.holders)
        if refusal:
            return refusal
        if place not in self._agreements:
            return self._refuse(sender, "stranger")
        return self._refuse(sender, "malformed") if not self._unmasking.take(place, message) else ""

    def total(self) -> Sum:
        """End the session; return the sum.

        Raises:
            Aborted: ``too_few`` shares of a secret came; ``bad_shares``: a client shared something else than its
                secrets.
        """
        self._pass("reveal", None)
        known = self._roster()
        if self._unmasking is None:
            raise Aborted("out_of_order", "nobody agreed yet")
        self._unmasking.strip(self._total)
        names = tuple(known.names[place] for place in self._survivors)
        dropped = tuple(name for name in known.names if name not in names)
        return Sum(self._total, names, dropped, tuple(sorted(self.faulty)))

    def participants(self, stage: Stage) -> list[str]:
        """Return whose message of a stage was taken."""
        if stage == "advertise" or self._known is None:
            return sorted(self._tokens)
        done: Mapping[Stage, Collection[int]] = {
            "share": self._sharings,
            "mask": self._complaints,
            "agree": self._agreements,
            "reveal": self._unmasking.holders if self._unmasking else (),
        }
        return [self._known.names[place] for place in sorted(done[stage])]

    def _sender(self, sender: str, stage: Stage, taken: Collection[int]) -> tuple[Known | None, int, Refusal]:
        known = self._known
        if known is None or self._stage != stage:
            return None, 0, "late"
        place = known.places.get(sender)
        if place is None:
            return known, 0, "stranger"
        return known, place, self._refuse(sender, "twice") if place in taken else ""

    def _roster(self) -> Known:
        if self._known is None:
            raise Aborted("out_of_order", "there is no roster yet")
        return self._known

    def _refuse(self, sender: str, refusal: Refusal) -> Refusal:
        if sender in self._members:
            self.faulty.add(sender)
        return refusal

    def _pass(self, stage: Stage, following: Stage | None) -> None:
        is_under_way, self._stage = self._stage == stage, None
        if not is_under_way:
            raise Aborted("out_of_order", f"the stage {stage} is not under way")
        self._stage = following

    def _end_with(self, stage: Stage, following: Stage, count: int) -> Known:
        self._pass(stage, following)
        known = self._roster()
        least = max(known.parameters.quorum, self._session.fewest)
        if count < least:
            self._stage = None
            missing = sorted(set(known.names) - set(self.participants(stage)))
            raise Aborted(
                "too_few",
                f"{count} clients are left after the stage {stage}, and {least} of {len(known.names)} must be",
                [name for name in missing if name in self.faulty],
            )
        return known
