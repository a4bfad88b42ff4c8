"""The judge: from a cohort's evidence, and what was known of its subjects, to what is to be known of them from now on.

What is promised. Assume that an honest subject's score, given all that went before, exceeds the threshold of each
level that is bet on at most ``heterogeneity`` times as often as its comparable peers' scores in the pool do. Then the
p-value falls to or below each level with at most that level's chance, each step's e-value has expectation 1 at most,
and the chance that an honest subject's e-value ever reaches ``1 / alpha`` within a horizon is ``alpha`` at most
(`controlplane.behavior.betting`). It is promised for each subject by itself, at whatever times one looks.

What the assumption needs. The calibration's quantiles are those of honest devices, up to sampling error; hostile
scores in the pool can only make p-values larger, hence hide attackers, never convict the honest; scores are
standardised in each cohort, for what drifts from round to round; devices whose data are unlike the others' for good
are compared with their like, and the rest is what ``heterogeneity`` is for. Scores of who is quarantined leave the
pool: were many honest ones quarantined, the pool would become too clean.

Everything here is pure: the same evidence, records, pools and time give the same outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controlplane.behavior import attribution, betting
from controlplane.behavior.conformal import Peer, Pool
from controlplane.behavior.groups import companies, shared
from controlplane.behavior.scores import scores
from controlplane.behavior.trust import counted, lower_bound
from controlplane.contracts.behaviour import (
    CHANNELS,
    MOST_CONFORMING,
    Attribution,
    BehaviourFact,
    BehaviourRecord,
    BehaviourTerms,
    Channel,
)
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import Trust

ANY = "any"
GROUPS = "groups"
"""The class of sums of groups, which are compared with one another."""

_OLDEST = 1e10


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a subject before.

    Attributes:
        record: none for a newcomer.
        segment: where it lives.
    """

    record: BehaviourRecord | None
    segment: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What one observation makes of its subject.

    Attributes:
        record: with the new wealth, counts and time; state, since and version are as they were.
        trust: lower confidence bound; its observations are those that this one adds, 1 or 0.
        score: how much it deviates; none where there was nothing to compare with, and then nothing else changes.
        peers: class of those it was compared with.
        p_value: what is bet on; none where there were too few.
        admission_p_value: what admission reads: `p_value`, or less where the calibration alone says so.
        comparable: how many they were.
        e_values: evidence by channel.
        e_value: over all channels.
        attribution: none for an unremarkable one.
    """

    record: BehaviourRecord
    trust: Trust
    score: float | None
    peers: str
    p_value: float | None
    admission_p_value: float | None
    comparable: int
    e_values: Mapping[Channel, float]
    e_value: float
    attribution: Attribution | None


class Judge:
    """Judges by the terms of one policy revision.

    Args:
        terms: what ``data.ztfm.behaviour.terms`` says.
    """

    def __init__(self, terms: BehaviourTerms) -> None:
        self._terms = terms
        self._calibration = {name: sorted(found) for name, found in terms.calibration.items()}

    def classes(self, cohort: Mapping[str, UpdateEvidence], segments: Mapping[str, str]) -> dict[str, str]:
        """Return the class of comparable peers of each update: its sender's segment and how skewed its data are.

        Args:
            cohort: evidence by subject.
            segments: of all subjects of the cohort that are to be judged.
        """
        return {
            name: _peers(segments[name], self._skew(evidence)) for name, evidence in cohort.items() if name in segments
        }

    def sums(
        self,
        cohort: Mapping[str, UpdateEvidence],
        groups: Mapping[str, str],
        known: Mapping[str, Known],
        pool: Sequence[Peer],
        now: float,
    ) -> dict[str, Judged]:
        """Return what the sums of a round's groups make of their members.

        The score of a sum is one observation, whoever is in it, so it is kept with one member alone. What a member's
        trust and evidence are told is less than what the group's sum is: others may be why.

        A sum that stands out is not compared with later. A few liars spoil many sums, and each would make the next look
        usual. By that the pool becomes too clean by at most those sums which stand out by chance, of whose like the
        calibration still has its share.

        Args:
            cohort: evidence by member: that of its group's sum.
            groups: the group of each member of the round, also of those who are in no sum: who goes away changes
                nothing of how likely hostile company was when groups were drawn.
            known: those of the cohort that are judged.
            pool: scores of earlier sums, as for `updates`.
            now: Unix seconds.
        """
        compared = Pool(self._update_calibration(GROUPS), pool)
        by_group = {groups[name]: evidence for name, evidence in sorted(cohort.items(), reverse=True)}
        keeping = {groups[name]: name for name in sorted(known, reverse=True)}
        found = scores(by_group)
        chances = companies(groups, self._terms.hostile_share)
        judged = {}
        for name in known:
            group = groups[name]
            told = attribution.of_update(by_group[group], found[group])
            one = self._judged(
                "updates", name, found[group].value, GROUPS, compared, known[name], told, now, chances[name]
            )
            is_kept = keeping[group] == name and not self._is_remarkable(one.admission_p_value)
            judged[name] = one if is_kept else replace(one, score=None)
        return judged

    def updates(
        self,
        cohort: Mapping[str, UpdateEvidence],
        known: Mapping[str, Known],
        pools: Mapping[str, Sequence[Peer]],
        now: float,
    ) -> dict[str, Judged]:
        """Return what each update makes of its subject.

        Args:
            cohort: evidence by subject; of all that are compared with one another.
            known: those of the cohort that are judged.
            pools: by class, scores of the last ``window`` rounds, this one not counted, of subjects that are not
                quarantined; a class without any may be absent.
            now: Unix seconds.
        """
        classes = self.classes(cohort, {name: one.segment for name, one in known.items()})
        compared = {
            peers: Pool(self._update_calibration(peers), pools.get(peers, ())) for peers in set(classes.values())
        }
        found = scores(cohort)
        return {
            name: self._judged(
                "updates",
                name,
                found[name].value,
                peers,
                compared[peers],
                known[name],
                attribution.of_update(cohort[name], found[name]),
                now,
            )
            for name, peers in classes.items()
        }

    def observation(
        self,
        channel: Channel,
        subject: str,
        score: float,
        peers: str,
        pool: Pool | Sequence[Peer],
        known: Known,
        attribution: Attribution | None,
        now: float,
    ) -> Judged:
        """Return what one observation in another channel makes of its subject.

        Args:
            channel: where it was observed.
            subject: whose it is.
            score: how much it deviates, 0 for not at all.
            peers: class of those it is compared with; its calibration is found under this name, else the channel's.
            pool: scores of that class, of subjects that are not quarantined; from `pool`, where many are judged.
            known: of the subject.
            attribution: of the deviation.
            now: Unix seconds.
        """
        compared = pool if isinstance(pool, Pool) else self.pool(channel, peers, pool)
        return self._judged(channel, subject, score, peers, compared, known, attribution, now)

    def pool(self, channel: Channel, peers: str, recent: Sequence[Peer]) -> Pool:
        """Return what observations of a class in another channel than updates are compared with."""
        return Pool(self._calibration.get(peers, self._calibration.get(channel, [])), recent)

    def fact(self, record: BehaviourRecord | None, judged: Judged | None, now: float) -> BehaviourFact:
        """Return what decisions read of a subject: where it stood, and the evidence with this observation in it."""
        current = judged.record if judged else record
        return BehaviourFact(
            state=record.state if record else "watched",
            state_age_seconds=min(_OLDEST, max(0.0, now - record.since)) if record else 0.0,
            e_value=betting.combined(current.wealth if current else {}, self._terms.weights),
            p_value=judged.admission_p_value if judged else None,
            comparable=judged.comparable if judged else 0,
        )

    def _judged(
        self,
        channel: Channel,
        subject: str,
        score: float | None,
        peers: str,
        pool: Pool,
        known: Known,
        attribution: Attribution | None,
        now: float,
        company: float = 0.0,
    ) -> Judged:
        comparable = 0 if score is None else pool.comparable(subject)
        p_value = admission_p_value = None
        if score is not None and comparable >= self._terms.comparable:
            p_value = pool.p_value(subject, score, self._terms.heterogeneity)
            admission_p_value = pool.admission_p_value(subject, score, self._terms.heterogeneity)
        is_remarkable = admission_p_value is None or self._is_remarkable(admission_p_value)
        before = known.record or self._newcomer(now)
        record = self._after(before, channel, p_value, now, company, conforms=not is_remarkable)
        return Judged(
            record=record,
            trust=Trust(
                score=lower_bound(record.conforming, record.deviating, self._terms.confidence),
                observations=0 if p_value is None else 1,
            ),
            score=score,
            peers=peers,
            p_value=None if p_value is None else shared(p_value, company),
            admission_p_value=admission_p_value,
            comparable=comparable,
            e_values={name: betting.value(record.wealth.get(name, betting.FRESH)) for name in CHANNELS},
            e_value=betting.combined(record.wealth, self._terms.weights),
            attribution=attribution if is_remarkable else None,
        )

    def _after(
        self,
        record: BehaviourRecord,
        channel: Channel,
        p_value: float | None,
        now: float,
        company: float,
        *,
        conforms: bool,
    ) -> BehaviourRecord:
        if p_value is None:
            return record
        worth = self._terms.worth[channel]
        seen = shared(p_value, company)
        conforming, deviating = counted(record.conforming, record.deviating, seen, self._terms, worth)
        before = record.wealth.get(channel, betting.FRESH)
        count = min(MOST_CONFORMING, before.conforming + conforms)
        wealth = betting.after(before, p_value, self._terms, company).model_copy(
            update={"conforming": count, "convicted": before.convicted}
        )
        return record.model_copy(
            update={
                "wealth": {**record.wealth, channel: wealth},
                "conforming": conforming,
                "deviating": deviating,
                "observed_at": now,
            }
        )

    def _newcomer(self, now: float) -> BehaviourRecord:
        return BehaviourRecord(
            state="watched", since=now, wealth={}, conforming=self._terms.newcomer, deviating=0.0, observed_at=now
        )

    def _is_remarkable(self, p_value: float | None) -> bool:
        return p_value is not None and p_value <= max(self._terms.levels)

    def _skew(self, evidence: UpdateEvidence) -> str | None:
        if evidence.concentration is None:
            return None
        return f"skew{sum(evidence.concentration >= edge for edge in self._terms.skew)}"

    def _update_calibration(self, peers: str) -> Sequence[float]:
        for name in (peers, peers.rpartition(".")[2], ANY):
            if name in self._calibration:
                return self._calibration[name]
        return []


def _peers(segment: str, skew: str | None) -> str:
    return f"{segment}.{skew}" if skew else segment
