"""A site's own word: may this model come in, may this update go out. Everything but a proven yes is a no."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from adapters.site.chain import Chain, Decider
from adapters.site.deciding import Ruling, conclude, faulty
from adapters.site.errors import SiteFault, Vetoed, fault_reason
from adapters.site.ledger import BILLION, Charge, Entry, Ledger, Spent, billionths, month_of
from adapters.site.policy import load
from controlplane.contracts.access import Purpose
from controlplane.contracts.site import (
    EpsilonAsked,
    EpsilonSpent,
    ModelInAction,
    ModelInContext,
    ModelInFacts,
    SiteActionName,
    SiteLimits,
    SiteModel,
    SiteModelProperties,
    SiteSubject,
    UpdateFact,
    UpdateOutAction,
    UpdateOutContext,
    UpdateOutFacts,
)
from controlplane.jose.keys import DeviceKey

FOLDER = "site"
"""In a member's own folder: the site's, or a link to it. Where it is, the site decides; nothing switches it off."""

STATE = "state"
_UNKNOWN = 1e12
"""What cannot be read counts as the most there is."""

_KEPT_SIZES = 64

_log = logging.getLogger("ztfm.site")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the server's side wants, in its own words: all of it is asked about, nothing of it chooses who decides.

    Attributes:
        model: its name.
        audience: the enforcement point.
        digest: of the weights where a model comes in, of the update where one goes out; none where it was not told.
        round_id: of the round; none outside of rounds.
        purpose: what the model is for.
    """

    model: str
    audience: str
    digest: str | None = None
    round_id: str | None = None
    purpose: Purpose | None = None


class Site:
    """The policy, the ledger and the record of one site, for one device of it. Safe across threads and processes.

    Args:
        folder: the site's.
        key: the device's; it signs what is recorded.
        clock: Unix seconds.
    """

    def __init__(self, folder: Path, key: DeviceKey, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / STATE)
        self.chain = Chain(folder / STATE, key)
        self._clock = clock
        self._sizes: OrderedDict[str, int] = OrderedDict()

    @classmethod
    def of(cls, member_folder: Path, key: DeviceKey, *, clock: Callable[[], float] = time.time) -> Self | None:
        """Return the site of a member's folder, or none where it has none.

        A folder, or a link, that is there and cannot be used is a site whose every answer is no.
        """
        place = member_folder / FOLDER
        return cls(place, key, clock=clock) if place.is_symlink() or place.exists() else None

    def model_in(self, asked: Asked) -> Ruling:
        """Decide whether a model may come in, and put it on record."""
        ruling, _ = self._decided(lambda entry: self._incoming(entry, asked), None)
        if ruling.allowed and asked.digest:
            try:
                with self.ledger.opened() as entry:
                    entry.let_in(asked.digest, self._clock())
            except SiteFault as fault:
                _log.warning("%s", fault)
                return faulty(fault.code)
        return ruling

    def was_let_in(self, digest: str) -> bool:
        """Whether weights of a digest came in by the site's own leave, within a day.

        Whoever is sent weights asks this before they are used: a server that sends them unasked is not listened to.
        """
        try:
            with self.ledger.opened() as entry:
                return entry.was_let_in(digest, self._clock())
        except SiteFault as fault:
            _log.warning("%s", fault)
            return False

    def update_out(self, asked: Asked) -> tuple[Ruling, Charge | None]:
        """Decide whether an update may go out, reserve what it spends, and put it on record.

        Returns:
            The ruling, and what is reserved until `settle`: none where it is a veto.
        """
        return self._decided(lambda entry: self._outgoing(entry, asked), asked)

    def settle(self, charge: Charge | None, *, is_spent: bool) -> None:
        """End a reservation: leave to send the update was handed out, or it was not."""
        if charge is None:
            return
        try:
            with self.ledger.opened() as entry:
                entry.settle(charge, is_spent=is_spent)
        except SiteFault as fault:
            # It stays reserved, which counts as spent.
            _log.warning("what an update spends stays reserved: %s", fault)

    def allowance(self, asked: Asked) -> SiteLimits:
        """Return what training on a model must keep to here, now. Nothing is recorded, and nothing handed out.

        Raises:
            Vetoed: the model may not come in at all.
        """
        try:
            with self.ledger.opened() as entry:
                facts = self._incoming(entry, asked)
            policy = load(self.folder)
            answered = policy.ask("model_in", facts.model_dump_json(exclude_none=True).encode())
        except SiteFault as fault:
            raise Vetoed([fault_reason(fault.code)]) from None
        except ValidationError:
            raise Vetoed([fault_reason("facts_malformed")]) from None
        ruling = conclude(answered.answer, SiteLimits(), policy.texts, facts)
        if not ruling.allowed:
            raise Vetoed(ruling.reasons)
        return answered.limits

    def probes(self, asked: Asked) -> dict[SiteActionName, bytes]:
        """Return a question of each kind, to see whether the policy answers at all.

        Raises:
            SiteFault: the ledger cannot be read.
        """
        with self.ledger.opened() as entry:
            coming, going = self._incoming(entry, asked), self._outgoing(entry, asked)
        return {one.action.name: one.model_dump_json(exclude_none=True).encode() for one in (coming, going)}

    def describe(self, update: UpdateFact) -> None:
        """Keep what the site's own code says of an update, by its digest.

        Raises:
            Vetoed: it cannot be kept.
        """
        try:
            with self.ledger.opened() as entry:
                entry.describe(update)
        except SiteFault as fault:
            raise Vetoed([fault_reason(fault.code)]) from None

    def expect(self, digest: str, size_bytes: int) -> None:
        """Keep how large the weights of a digest are, for as long as this is open."""
        self._sizes[digest] = size_bytes
        while len(self._sizes) > _KEPT_SIZES:
            self._sizes.popitem(last=False)

    def _decided(
        self, facts_of: "Callable[[Entry | Unread], ModelInFacts | UpdateOutFacts]", outgoing: Asked | None
    ) -> tuple[Ruling, Charge | None]:
        decider, charge = Decider(None, ""), None
        try:
            # Nobody else of the site decides meanwhile: two updates cannot both take the last of a budget.
            with self.ledger.opened() as entry:
                facts = facts_of(entry)
                ruling, decider = self._ruled(facts)
                if ruling.allowed and isinstance(facts, UpdateOutFacts) and outgoing is not None:
                    charge = _charge(outgoing, facts.context.update)
                    entry.reserve(charge, month_of(facts.context.time))
        except SiteFault as fault:
            _log.warning("%s", fault)
            ruling, charge = faulty(fault.code), None
            facts = facts_of(Unread())
        except ValidationError as error:
            raise Vetoed([fault_reason("facts_malformed")]) from error
        return self._recorded(facts, ruling, decider, charge)

    def _recorded(
        self, facts: ModelInFacts | UpdateOutFacts, ruling: Ruling, decider: Decider, charge: Charge | None
    ) -> tuple[Ruling, Charge | None]:
        try:
            self.chain.append(facts, ruling, decider, facts.context.time)
        except SiteFault as fault:
            # What is not on record is not given out.
            _log.warning("%s", fault)
            self.settle(charge, is_spent=False)
            return faulty(fault.code), None
        if not ruling.allowed:
            _log.warning("%s of %s: vetoed for %s", facts.action.name, facts.resource.id, ", ".join(ruling.codes))
        return ruling, charge

    def _ruled(self, facts: ModelInFacts | UpdateOutFacts) -> tuple[Ruling, Decider]:
        decider = Decider(None, "")
        try:
            policy = load(self.folder)
            decider = Decider(policy.digest, policy.revision)
            answered = policy.ask(facts.action.name, facts.model_dump_json(exclude_none=True).encode())
            return conclude(answered.answer, answered.limits, policy.texts, facts), decider
        except SiteFault as fault:
            _log.warning("%s", fault)
            return faulty(fault.code), decider
        except Exception:  # noqa: BLE001 - logged, recorded, and an answer that denies
            # Whatever an engine does wrong, it has not said yes.
            _log.exception("the site's policy failed")
            return faulty("policy_failed"), decider

    def _incoming(self, entry: "Entry | Unread", asked: Asked) -> ModelInFacts:
        now = self._clock()
        spent = entry.spent(asked.model, month_of(now))
        size = self._sizes.get(asked.digest) if asked.digest else None
        return ModelInFacts(
            subject=SiteSubject(type="device", id=self.chain.subject),
            action=ModelInAction(name="model_in"),
            resource=SiteModel(
                type="model", id=asked.model, properties=SiteModelProperties(digest=asked.digest, size_bytes=size)
            ),
            context=ModelInContext(
                time=now,
                audience=asked.audience,
                purpose=asked.purpose,
                round_id=asked.round_id,
                epsilon=EpsilonSpent(month=spent.month / BILLION, total=spent.total / BILLION),
            ),
        )

    def _outgoing(self, entry: "Entry | Unread", asked: Asked) -> UpdateOutFacts:
        now = self._clock()
        spent = entry.spent(asked.model, month_of(now))
        update = entry.described(asked.digest) if asked.digest else UpdateFact()
        charge = _charge(asked, update)
        more = None if charge.billionths is None else entry.more(charge)
        return UpdateOutFacts(
            subject=SiteSubject(type="device", id=self.chain.subject),
            action=UpdateOutAction(name="update_out"),
            resource=SiteModel(type="model", id=asked.model, properties=SiteModelProperties()),
            context=UpdateOutContext(
                time=now,
                audience=asked.audience,
                round_id=asked.round_id,
                update=update,
                epsilon=EpsilonAsked(
                    month=spent.month / BILLION,
                    total=spent.total / BILLION,
                    month_after=None if more is None else (spent.month + more) / BILLION,
                    total_after=None if more is None else (spent.total + more) / BILLION,
                ),
            ),
        )


class Unread:
    """Stands for a ledger that cannot be read: everything is spent, and nothing is described."""

    def spent(self, model: str, month: str) -> Spent:
        """Return the most there is."""
        return Spent(int(_UNKNOWN) * BILLION, int(_UNKNOWN) * BILLION)

    def described(self, digest: str) -> UpdateFact:
        """Return the digest alone."""
        return UpdateFact(digest=digest)

    def more(self, charge: Charge) -> int:
        """Return nothing: there is no more."""
        return 0


def _charge(asked: Asked, update: UpdateFact) -> Charge:
    spends = None if update.epsilon is None else billionths(update.epsilon)
    return Charge(asked.model, asked.round_id or "", asked.digest or "", spends)
