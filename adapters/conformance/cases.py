"""The cases: what one client of six, or of sixteen, does or what happens meanwhile, and what must hold then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adapters.conformance.script import Moment

Standing = Literal["enrolled", "stranger", "consumer", "quarantined", "twin"]
"""What the sixth client is: enrolled as the others; not at all; for another role; set apart before the job begins; in
possession of another client's key."""

Event = Literal[
    "", "quarantine", "revoke", "rotate-keys", "pause-control-plane", "kill-control-plane", "kill-policy-engine"
]
"""What happens in the first round, when the client that the script names asks for it."""

Enters = Literal["never", "first", "always", "at-most-once", "later"]
"""When an update of the sixth client goes into the model: in no round, in the first alone, in all, at most one of the
two that come with its name in a round, or when the others' do, at the latest in the last round."""

Company = Literal["", "served", "kept-out", "unproven", "outlying", "leaving", "summing"]
"""Whose clients can take part in one job without being in each other's way: those all of whose updates go in; which
never see the weights; whose update is refused for itself; whose update stands out from the others'; who break or are
set apart meanwhile; who are summed securely."""

HONEST = 5
"""Clients that are honest in a case; one more is what it is about, and one for each that shares the job."""

HONEST_SUMMED = 14
"""The same where updates are summed securely: with the two whom these cases are about, two groups of eight."""

_MUST: Mapping[Enters, str] = {
    "never": "Nothing of it goes into the model.",
    "first": "Its first update goes in, nothing after it.",
    "always": "All six go in, in every round.",
    "at-most-once": "At most one of the two goes in.",
    "later": "All six go in, in the last round.",
}

_REFUSED = "A backend that makes no secure sums opens no such round, and nobody is given or sends anything."

MISSHAPEN = frozenset({"update_shaped", "wrong_digest", "malformed"})
"""Causes for an update of another form than the round's; a transport that cannot carry it brings something else."""

NOT_GIVEN = frozenset({"declined", "failed", "absent"})
"""Causes for a client that was not given credentials, and says so or says nothing."""


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: in commands and tables.
        what: what goes wrong, in a sentence.
        behaviour: of the sixth client; a name in `presenting` or `spoiling`, or ``honest``.
        causes: why it is left out: one of these must be in the guard's report; empty where nobody is.
        standing: of the sixth client.
        enters: when its updates go into the model.
        is_served: it may be given the weights.
        is_decided: the control plane denied it something, which must be on record.
        event: what happens in the first round.
        moment: when.
        share: how many times as much as an honest one its update counts.
        company: with which others it can share a job; none where it is about everybody, or has several ways to end.
            Cases that are summed share one in any case: a group needs company.
    """

    name: str
    what: str
    behaviour: str = "honest"
    causes: frozenset[str] = frozenset()
    standing: Standing = "enrolled"
    enters: Enters = "never"
    is_served: bool = False
    is_decided: bool = False
    event: Event = ""
    moment: Moment = "training"
    share: float = 1.0
    company: Company = ""

    @property
    def is_summed(self) -> bool:
        """Whether the job's model lets sums of groups alone be seen."""
        return self.company == "summing"

    @property
    def honest(self) -> int:
        """How many clients are honest, beside those whom the job's cases are about."""
        return HONEST_SUMMED if self.is_summed else HONEST

    @property
    def must(self) -> str:
        """What must hold, beside that the job ends by itself and every honest client is served: in a sentence."""
        if self.is_summed:
            said = " or ".join(f"`{cause}`" for cause in sorted(self.causes))
            return f"All others are summed without it, and the report says {said}. {_REFUSED}"
        if not self.causes:
            counted = f" It counts {self.share:g} times at most." if self.share != 1.0 else ""
            return _MUST[self.enters] + counted
        *first, last = (f"`{cause}`" for cause in sorted(self.causes))
        said = f"{', '.join(first)} or {last}" if first else last
        parts = [_MUST[self.enters], "" if self.is_served else "It never sees the weights."]
        parts += [f"The report says {said}.", "The denial is on record." if self.is_decided else ""]
        return " ".join(part for part in parts if part)


def _refused(name: str, what: str, *causes: str, standing: Standing = "enrolled", is_decided: bool = False) -> Case:
    """Return a case of a client that must not have the weights."""
    return Case(name, what, name, frozenset(causes), standing=standing, is_decided=is_decided, company="kept-out")


def _spoiled(name: str, what: str, *causes: str, is_decided: bool = True, company: Company = "unproven") -> Case:
    """Return a case of a client whose update must not go in."""
    return Case(name, what, name, frozenset(causes), is_served=True, is_decided=is_decided, company=company)


def _not_enrolled(name: str, what: str, standing: Standing, is_decided: bool) -> Case:
    causes = NOT_GIVEN | {"not_invited"}
    return Case(name, what, "honest", causes, standing=standing, is_decided=is_decided, company="kept-out")


CASES: tuple[Case, ...] = (
    Case("honest", "Everybody is honest.", enters="always", is_served=True, company="served"),
    _not_enrolled("stranger", "A key that nobody enrolled.", "stranger", is_decided=False),
    _not_enrolled("no-role", "A device that was enrolled for something else than training.", "consumer", True),
    _not_enrolled("quarantined", "A device that was set apart before the job began.", "quarantined", True),
    _refused("impostor", "Another client's name, with a proof by its own key.", "wrong_subject"),
    _refused("garbage-introduction", "An introduction that is no proof.", "proof_malformed", "malformed"),
    _refused("no-pull", "Asks for the weights without a capability.", "malformed", "proof_missing", "declined"),
    _refused("garbage-pull", "Asks for the weights with garbage.", "malformed", "proof_malformed"),
    _refused("expired-pull", "Asks for the weights with a capability that ran out.", "expired"),
    _refused("stale-pull", "Its clock is two hours slow, and its proof that old.", "proof_stale"),
    _refused("other-round-pull", "A capability for another round.", "wrong_round", "wrong_digest"),
    _refused("other-weights-pull", "Asks for a capability for other weights.", *NOT_GIVEN, is_decided=True),
    _refused("other-audience-pull", "A capability for another enforcement point.", "wrong_audience"),
    _refused("stolen-pull", "Another client's capability, with a proof by its own key.", "wrong_key", "wrong_subject"),
    _refused("borrowed-pull", "Another client's capability and proof.", "wrong_subject"),
    Case(
        "replayed-pull",
        "Honest in the first round; then shows the first round's credentials again.",
        "replayed-pull",
        frozenset({"wrong_round", "proof_wrong_target", "proof_replayed", "wrong_digest"}),
        enters="first",
        is_served=True,
        company="unproven",
    ),
    _spoiled("no-submission", "An update without credentials.", "malformed", "proof_missing", "proof_malformed"),
    _spoiled("garbage-submission", "An update with garbage for credentials.", "malformed", "proof_malformed"),
    _spoiled("pull-to-submit", "An update with the capability to pull.", "wrong_action"),
    _spoiled("tampered", "Other tensors than the proof is for.", "wrong_digest"),
    _spoiled("other-round-submission", "An update with a capability for another round.", "wrong_round"),
    _spoiled("other-audience-submission", "An update with a capability for elsewhere.", "wrong_audience"),
    _spoiled("borrowed-submission", "An update with another client's credentials.", "wrong_subject"),
    _spoiled("stolen-submission", "An update with another client's capability.", "wrong_subject", "wrong_key"),
    Case(
        "replayed-submission",
        "Honest in the first round; then submits with the first round's credentials.",
        "replayed-submission",
        frozenset({"wrong_round", "proof_wrong_target", "proof_replayed", "replayed", "wrong_digest"}),
        enters="first",
        is_served=True,
        is_decided=True,
        company="unproven",
    ),
    Case(
        "twin",
        "Two clients with one key: it counts once, or not at all.",
        "honest",
        frozenset({"replayed", "wrong_subject", "not_invited", "proof_replayed", *NOT_GIVEN}),
        standing="twin",
        enters="at-most-once",
        is_served=True,
    ),
    _spoiled("not-a-number", "A NaN among the values.", "update_finite"),
    _spoiled("infinite", "An infinite value.", "update_finite"),
    _spoiled("wrong-shape", "A tensor with one row more.", *MISSHAPEN),
    _spoiled("wrong-type", "Tensors of another dtype.", *MISSHAPEN),
    _spoiled("missing-tensor", "A tensor is left out.", *MISSHAPEN),
    _spoiled("extra-tensor", "A tensor that the model does not have.", *MISSHAPEN),
    _spoiled(
        "oversize", "An update a thousand times too long.", "update_bounded", "update_plausible", company="outlying"
    ),
    _spoiled(
        "sign-flip", "The contrary of an honest update.", "update_aligned", "update_plausible", company="outlying"
    ),
    _spoiled("nothing", "An update of zeros.", "update_measured", company="outlying"),
    _spoiled("no-examples", "Claims no training examples.", "update_examples"),
    _spoiled("absurd-examples", "Claims more examples than anybody has.", "update_examples"),
    Case(
        "many-examples",
        "Claims a thousand times the examples of the others: it counts ten times, and no more.",
        "many-examples",
        enters="always",
        is_served=True,
        share=10.0,
        company="served",
    ),
    _spoiled("failing", "Its training raises.", "failed", "absent", is_decided=False, company="leaving"),
    _spoiled(
        "failing-credentials",
        "Its credentials' code raises.",
        "failed",
        "absent",
        "declined",
        is_decided=False,
        company="leaving",
    ),
    _spoiled("dying", "Its process ends while it trains.", "failed", "absent", is_decided=False, company="leaving"),
    _spoiled("late", "Answers after its time.", "absent", "late", is_decided=False, company="leaving"),
    _spoiled("hanging", "Never answers.", "absent", is_decided=False, company="leaving"),
    Case(
        "quarantined-meanwhile",
        "Set apart while it trains.",
        causes=frozenset({"revoked", "subject_active", *NOT_GIVEN}),
        is_served=True,
        is_decided=True,
        event="quarantine",
        company="leaving",
    ),
    Case(
        "revoked-meanwhile",
        "Revoked once it has its credentials to submit.",
        causes=frozenset({"revoked", "subject_active", "capability_verified"}),
        is_served=True,
        is_decided=True,
        event="revoke",
        moment="submitting",
        company="leaving",
    ),
    Case(
        "keys-rotated",
        "The issuer begins to change its signing key in the middle of a round: nobody is left out.",
        enters="always",
        is_served=True,
        event="rotate-keys",
        company="served",
    ),
    Case(
        "control-plane-paused",
        "The control plane answers nothing for a while: nobody is left out.",
        enters="always",
        is_served=True,
        event="pause-control-plane",
        company="served",
    ),
    Case(
        "policy-engine-killed",
        "OPA dies in the middle of a round, and is started again.",
        enters="later",
        is_served=True,
        event="kill-policy-engine",
    ),
    Case(
        "control-plane-killed",
        "The control plane dies in the middle of a round, and comes back.",
        enters="later",
        is_served=True,
        event="kill-control-plane",
    ),
    Case(
        "leaving-a-sum",
        "Secure aggregation is on; it goes away once it has shared its secrets.",
        "leaving-a-sum",
        frozenset({"absent"}),
        is_served=True,
        company="summing",
    ),
    Case(
        "unmasked-in-a-sum",
        "Secure aggregation is on; its capability is shown for values in the clear.",
        "unmasked-in-a-sum",
        frozenset({"wrong_digest"}),
        is_served=True,
        company="summing",
    ),
)


def named(name: str) -> Case:
    """Return a case by its name.

    Raises:
        KeyError: there is none; the message lists those which there are.
    """
    for case in CASES:
        if case.name == name:
            return case
    raise KeyError(f"there is no case '{name}'; there are: {', '.join(case.name for case in CASES)}")
