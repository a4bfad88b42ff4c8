"""Clients that show something else than their own, fresh, fitting credentials."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from adapters.conformance.scripted import Scripted
from adapters.credentials import PULL, SUBMIT, Credentials, Introduction, RoundTerms
from adapters.enrolment import load_identity
from adapters.errors import Unavailable
from adapters.member import Member

ELSEWHERE = "another-enforcement-point"
OTHER_WEIGHTS = "sha256:" + "0" * 64
_GARBAGE = "\x00\ufffd{}.garbage.\x7f" + "A" * 40
_SLOW_CLOCK_SECONDS = 7200.0

Value = TypeVar("Value")


class _OfVictim(Scripted):
    """Has got hold of another client's key."""

    def _victim(self) -> Member:
        return Member.open(_given(self.script.victim))


class Impostor(_OfVictim, behaviour="impostor"):
    """Gives another client's name, with a proof by its own key."""

    def introduce(self, audience: str) -> Introduction:
        """As `Member.introduce`, under another name."""
        return replace(super().introduce(audience), subject=load_identity(_given(self.script.victim)).id)


class GarbageIntroduction(Scripted, behaviour="garbage-introduction"):
    """Says who it is in bytes that are no proof."""

    def introduce(self, audience: str) -> Introduction:
        """As `Member.introduce`, without a proof that could be read."""
        return replace(super().introduce(audience), proof=_GARBAGE)


class NoPull(Scripted, behaviour="no-pull"):
    """Shows nothing when it asks for the weights."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, without asking for anything."""
        return Credentials(self.id, "", "")


class GarbagePull(Scripted, behaviour="garbage-pull"):
    """Shows garbage when it asks for the weights."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, with bytes that are no tokens."""
        return Credentials(self.id, _GARBAGE, _GARBAGE)


class ExpiredPull(Scripted, behaviour="expired-pull"):
    """Shows a capability that ran out, with a fresh proof."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, with what was kept from long ago."""
        if self.script.kept is None:
            raise Unavailable("the script names no capability that ran out")
        return self._prove(PULL, terms, self.script.kept.capability)


class StalePull(Scripted, behaviour="stale-pull"):
    """Its clock is hours slow, so that its proof is old."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, with an old proof."""
        shown = super().pull(terms)
        self._clock = lambda: time.time() - _SLOW_CLOCK_SECONDS
        return self._prove(PULL, terms, shown.capability)


class OtherRoundPull(Scripted, behaviour="other-round-pull"):
    """Shows a capability for another round, in which it may take part."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, for the other round, with a proof for this one."""
        shown = super().pull(_given(self.script.decoy))
        return self._prove(PULL, terms, shown.capability)


class OtherWeightsPull(Scripted, behaviour="other-weights-pull"):
    """Asks for a capability for other weights than the round's."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, for other weights."""
        return super().pull(replace(terms, model_digest=OTHER_WEIGHTS))


class OtherAudiencePull(Scripted, behaviour="other-audience-pull"):
    """Shows a capability for another enforcement point."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, for another enforcement point, with a proof for this one."""
        shown = super().pull(replace(terms, audience=ELSEWHERE))
        return self._prove(PULL, terms, shown.capability)


class ReplayedPull(Scripted, behaviour="replayed-pull"):
    """Is honest in its first round, and shows the same again ever after."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull` once, then the same again."""
        return _first(self.script.folder / "first-pull.json") or _kept(
            self.script.folder / "first-pull.json", super().pull(terms)
        )


class StolenPull(_OfVictim, behaviour="stolen-pull"):
    """Shows another client's capability under that client's name, with a proof by its own key."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull`, with a capability that is bound to another key."""
        with self._victim() as victim:
            taken = victim.pull(terms)
        return replace(self._prove(PULL, terms, taken.capability), subject=taken.subject)


class BorrowedPull(_OfVictim, behaviour="borrowed-pull"):
    """Shows another client's credentials, proof and all."""

    def pull(self, terms: RoundTerms) -> Credentials:
        """As `Member.pull` of another client."""
        with self._victim() as victim:
            return victim.pull(terms)


class NoSubmission(Scripted, behaviour="no-submission"):
    """Sends an update, and shows nothing with it."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, without asking for anything."""
        return Credentials(self.id, "", "")


class GarbageSubmission(Scripted, behaviour="garbage-submission"):
    """Sends an update, and garbage with it."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, with bytes that are no tokens."""
        return Credentials(self.id, _GARBAGE, _GARBAGE)


class PullToSubmit(Scripted, behaviour="pull-to-submit"):
    """Submits with the capability that let it have the weights."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, with a capability for something else."""
        return self._prove(SUBMIT, terms, super().pull(terms).capability, digest)


class Tampered(Scripted, behaviour="tampered"):
    """Proves another update than the one that it sends."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, for other tensors."""
        return super().submit(terms, OTHER_WEIGHTS)


class OtherRoundSubmission(Scripted, behaviour="other-round-submission"):
    """Submits with a capability for another round, in which it may take part."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, for the other round, with a proof for this one."""
        shown = super().submit(_given(self.script.decoy), digest)
        return self._prove(SUBMIT, terms, shown.capability, digest)


class OtherAudienceSubmission(Scripted, behaviour="other-audience-submission"):
    """Submits with a capability for another enforcement point."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, for another enforcement point, with a proof for this one."""
        shown = super().submit(replace(terms, audience=ELSEWHERE), digest)
        return self._prove(SUBMIT, terms, shown.capability, digest)


class ReplayedSubmission(Scripted, behaviour="replayed-submission"):
    """Is honest in its first round, and submits with the same credentials ever after."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit` once, then the same again."""
        return _first(self.script.folder / "first-submission.json") or _kept(
            self.script.folder / "first-submission.json", super().submit(terms, digest)
        )


class BorrowedSubmission(_OfVictim, behaviour="borrowed-submission"):
    """Submits its update with another client's credentials, proof and all."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit` of another client."""
        with self._victim() as victim:
            return victim.submit(terms, digest)


class StolenSubmission(_OfVictim, behaviour="stolen-submission"):
    """Submits its update with another client's capability under its own name."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`, with a capability that is bound to another key."""
        with self._victim() as victim:
            taken = victim.submit(terms, digest)
        return self._prove(SUBMIT, terms, taken.capability, digest)


class FailingCredentials(Scripted, behaviour="failing-credentials"):
    """Its code raises when it is asked for credentials to submit."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """Raise.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("this client's code is broken, as its script says")


class LeavingASum(Scripted, behaviour="leaving-a-sum"):
    """Goes away once it has shared its secrets with the others of its group."""

    def submit_masked(self, terms: RoundTerms, digest: str) -> Credentials:
        """Raise.

        Raises:
            Unavailable: always.
        """
        raise Unavailable("this client goes away, as its script says")


class UnmaskedInASum(Scripted, behaviour="unmasked-in-a-sum"):
    """Shows what it was given for values in the clear, where masked ones are to come."""

    def submit_masked(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit_masked`, of something else than what was masked."""
        return super().submit_masked(terms, OTHER_WEIGHTS)


def _given(value: Value | None) -> Value:
    if value is None:
        raise Unavailable("the script lacks what this behaviour needs")
    return value


def _first(path: Path) -> Credentials | None:
    return Credentials.from_dict(json.loads(path.read_text())) if path.exists() else None


def _kept(path: Path, shown: Credentials) -> Credentials:
    path.write_text(json.dumps(shown.to_dict()))
    return shown
