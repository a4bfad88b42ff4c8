"""A client of a secure sum: a state machine that is given messages and returns messages, and does nothing else.

It believes the server nothing. Whose keys it masks against, devices' signatures say; whom it shares its secrets with,
it picks by itself; who is in the sum, a quorum must have signed as it saw it. It reveals once, and of each other client
one of two secrets. After a refusal it does nothing any more.
"""

import random
import secrets
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from adapters.secureaggregation.errors import Aborted, SecureAggregationError
from adapters.secureaggregation.masks import Words, add, agree, derive
from adapters.secureaggregation.messages import (
    Advertised,
    Advertisement,
    Agreed,
    Agreement,
    Delivery,
    Masked,
    Revealed,
    Roster,
    Share,
    Sharing,
    Stage,
    Survivors,
    SurvivorsSeen,
)
from adapters.secureaggregation.rostering import Known, read_roster
from adapters.secureaggregation.sealing import SEED_PURPOSE, mark, pair_purpose, seal, text, unseal, view_digest
from adapters.secureaggregation.session import Session
from adapters.secureaggregation.shamir import SECRET_BYTES, share
from adapters.secureaggregation.signing import Knows, is_named_after, sign, verify
from controlplane.jose.keys import DeviceKey

T = TypeVar("T")

_NEXT: dict[str, Stage] = {"advertise": "share", "share": "mask", "mask": "agree", "agree": "reveal"}


class Client:
    """Takes part in one session, once.

    Args:
        session: what it is about.
        name: of the device.
        key: its enrolled key.
        members: who may take part.
        knows: the keys of enrolled devices; `signing.is_named_after` for those that never took another key.
        randomness: returns so many bytes that nobody can predict.
        picks: chooses neighbours, unpredictably.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        key: DeviceKey,
        members: Collection[str],
        *,
        knows: Knows = is_named_after,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
        picks: random.Random | None = None,
    ) -> None:
        self._session = session
        self._name = name
        self._key = key
        self._members = members
        self._knows = knows
        self._randomness = randomness
        self._picks = picks or random.SystemRandom()
        self._stage: Stage | None = "advertise"
        self._mask_secret = randomness(SECRET_BYTES)
        self._seed = randomness(SECRET_BYTES)
        self._channel = X25519PrivateKey.from_private_bytes(randomness(SECRET_BYTES))
        self._held: dict[int, tuple[bytes, bytes]] = {}
        self._chosen: frozenset[int] = frozenset()
        self._sharers: tuple[int, ...] = ()
        self._survivors: frozenset[int] = frozenset()
        self._seen = ""
        self._known: Known | None = None

    def advertise(self) -> Advertisement:
        """Return this client's keys, signed.

        Raises:
            Aborted: ``out_of_order``: it did so before.
        """
        self._begin("advertise")
        public = X25519PrivateKey.from_private_bytes(self._mask_secret).public_key().public_bytes_raw()
        said = Advertised(
            session=text(self._session.digest),
            subject=self._name,
            mask_key=text(public),
            channel_key=text(self._channel.public_key().public_bytes_raw()),
        )
        return self._went_well("advertise", Advertisement(token=sign(self._key, "secagg-keys+jwt", said)))

    def share(self, roster: Roster) -> Sharing:
        """Return this client's secrets in shares, for neighbours that it picks.

        Raises:
            Aborted: the roster does not hold, this client is not in it with the keys that it advertised, or a key in
                it is none.
            Unsafe: no parameters are safe for so few clients.
        """
        self._begin("share")
        known = self._known = read_roster(roster, self._session, self._members, self._knows)
        me = self._place(known)
        parameters = known.parameters
        others = [place for place in range(len(known.names)) if place != me]
        chosen = sorted(self._picks.sample(others, parameters.neighbours))
        of_key, of_seed = (
            share(secret, parameters.threshold, len(chosen), self._randomness)
            for secret in (self._mask_secret, self._seed)
        )
        try:
            sealed = [
                seal(self._channel, known.channel_keys[place], known.digest, me, place, pair)
                for place, pair in zip(chosen, zip(of_key, of_seed, strict=True), strict=True)
            ]
        except ValueError:
            raise Aborted("unlike_roster", "the roster holds a key that cannot be agreed with") from None
        self._chosen = frozenset(chosen)
        return self._went_well("share", Sharing(shares=sealed, seed_mark=mark(self._seed)))

    def mask(self, delivery: Delivery, words: Words) -> Masked:
        """Return ``words`` under this client's masks.

        Args:
            delivery: who shared, and what they shared with this client.
            words: (length,), of the session's size; they are left as they are.

        Raises:
            Aborted: too few shared, or the delivery is not in order.
            ValueError: ``words`` are not of the session's size.
        """
        self._begin("mask")
        if words.shape != (self._session.length,) or words.dtype.str != f"<u{self._session.bits // 8}":
            raise ValueError("the values are not of the session's length and size")
        known = self._roster()
        me = self._place(known)
        owners = [one.place for one in delivery.shares]
        self._require_places(delivery.sharers, known, "sharers")
        if me not in delivery.sharers or me in owners or not set(owners) <= set(delivery.sharers):
            raise Aborted("unlike_roster", "the delivery is not from those who shared, or not for this client")
        if len(set(owners)) != len(owners):
            raise Aborted("unlike_roster", "the delivery holds two shares of one client")
        self._require_company(delivery.sharers, known)
        self._sharers = tuple(delivery.sharers)
        opened = {
            one.place: unseal(self._channel, known.channel_keys[one.place], known.digest, me, one)
            for one in delivery.shares
        }
        self._held = {owner: pair for owner, pair in opened.items() if pair is not None}
        masked = self._masked(words, (self._chosen | set(owners)) & set(delivery.sharers), known, me)
        unusable = tuple(sorted(set(owners) - self._held.keys()))
        return self._went_well("mask", Masked(masked.tobytes(), unusable))

    def agree(self, survivors: Survivors) -> Agreement:
        """Return this client's word on who is in the sum.

        Raises:
            Aborted: too few are, or this client is not, or one who did not share is.
        """
        self._begin("agree")
        known = self._roster()
        self._require_places(survivors.places, known, "survivors")
        if not set(survivors.places) <= set(self._sharers) or self._place(known) not in survivors.places:
            raise Aborted("unlike_roster", "those in the sum are not among those who shared, or this client is not")
        self._require_company(survivors.places, known)
        if len(survivors.places) < self._session.fewest:
            raise Aborted("too_few", f"{len(survivors.places)} clients are in the sum: too few")
        self._survivors = frozenset(survivors.places)
        self._seen = view_digest(known.digest, self._sharers, survivors.places)
        said = SurvivorsSeen(session=text(self._session.digest), subject=self._name, seen=self._seen)
        return self._went_well("agree", Agreement(token=sign(self._key, "secagg-survivors+jwt", said)))

    def reveal(self, agreed: Agreed) -> Revealed:
        """Return what this client holds: of those in the sum their seeds' shares, of the others their mask keys'.

        Raises:
            Aborted: ``not_agreed``: a quorum did not sign the very survivors that this client saw.
        """
        self._begin("reveal")
        known = self._roster()
        signed = {
            found for token in agreed.tokens[: len(known.names)] if (found := self._signer(token, known)) is not None
        }
        if len(signed) < known.parameters.quorum:
            raise Aborted(
                "not_agreed",
                f"{len(signed)} clients signed the survivors that this client saw, and {known.parameters.quorum} must",
            )
        dropped = set(self._sharers) - self._survivors
        seeds = [
            Share(owner=owner, share=text(pair[1]))
            for owner, pair in sorted(self._held.items())
            if owner in self._survivors
        ]
        keys = [
            Share(owner=owner, share=text(pair[0])) for owner, pair in sorted(self._held.items()) if owner in dropped
        ]
        self._held = {}
        return self._went_well("reveal", Revealed(seeds=seeds, keys=keys))

    def _masked(self, words: Words, neighbours: Collection[int], known: Known, me: int) -> Words:
        masked = words.copy()
        add(masked, derive(self._seed, known.digest, SEED_PURPOSE), 1)
        mine = X25519PrivateKey.from_private_bytes(self._mask_secret)
        for place in sorted(neighbours):
            try:
                key = agree(mine, known.mask_keys[place], known.digest, pair_purpose(me, place))
            except ValueError:
                raise Aborted("unlike_roster", "a key cannot be agreed with", [known.names[place]]) from None
            add(masked, key, 1 if me < place else -1)
        return masked

    def _signer(self, token: str, known: Known) -> str | None:
        said = verify(token, "secagg-survivors+jwt", SurvivorsSeen, text(self._session.digest), self._knows)
        return said.subject if said is not None and said.seen == self._seen and said.subject in known.places else None

    def _begin(self, stage: Stage) -> None:
        """Go on with a stage. Whatever is raised from here on ends it, for `_went_well` alone leads on."""
        if self._stage != stage:
            self._stage = None
            raise Aborted("out_of_order", f"this client is not to {stage} now: one session, each message once")
        self._stage = None

    def _went_well(self, stage: Stage, answer: T) -> T:
        self._stage = _NEXT.get(stage)
        return answer

    def _roster(self) -> Known:
        if self._known is None:
            raise SecureAggregationError("there is no roster")
        return self._known

    def _place(self, known: Known) -> int:
        place = known.places.get(self._name)
        public = X25519PrivateKey.from_private_bytes(self._mask_secret).public_key().public_bytes_raw()
        if place is None or known.mask_keys[place] != public:
            raise Aborted("unlike_roster", "this client is not in the roster with the keys that it advertised")
        return place

    def _require_places(self, places: Sequence[int], known: Known, what: str) -> None:
        if list(places) != sorted(set(places)) or any(place >= len(known.names) for place in places):
            raise Aborted("unlike_roster", f"the {what} are not places of the roster, in order")

    def _require_company(self, places: Collection[int], known: Known) -> None:
        """Go on only while enough are there: of all a quorum, and of those that this client picked the threshold."""
        left = len(self._chosen.intersection(places))
        if len(places) < known.parameters.quorum or left < known.parameters.threshold:
            raise Aborted("too_few", f"{len(places)} clients are left, of them {left} that this client picked: too few")
