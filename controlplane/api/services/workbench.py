"""The policy workbench: what the edge asks of it."""

from typing import Protocol

from controlplane.contracts.decision import DecisionRecord
from controlplane.contracts.explanation import DecisionExplanation
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.workbench import (
    CheckedDraft,
    CheckRequest,
    DraftBundle,
    DraftVerdict,
    EvaluateRequest,
    PolicyDraft,
    PolicySources,
    ReplayedDraft,
    ReplayRequest,
    SignedDraft,
    TestedDraft,
)


class Workbench(Protocol):
    """Tries policies that somebody edits, and explains what was decided. Whoever asks is let in before.

    Every method raises `BundleRefused` for policies that cannot be tried, `TrialsBusy`, `NoPolicyTools`, `DraftMoved`
    where it does not try, and `StoreUnavailable`.
    """

    async def sources(self, layer: PolicyLayer) -> PolicySources:
        """Return the policies that are edited."""
        ...

    async def check(self, asked: CheckRequest, by: str) -> CheckedDraft:
        """Return what is wrong with a draft."""
        ...

    async def test(self, asked: PolicyDraft, by: str) -> TestedDraft:
        """Return what came of a draft's tests."""
        ...

    async def evaluate(self, asked: EvaluateRequest, by: str) -> DraftVerdict | None:
        """Return how a draft decides a recorded request; none where there is no such record to decide."""
        ...

    async def replay(self, asked: ReplayRequest, by: str, now: float) -> ReplayedDraft:
        """Return how a draft decides what was decided until ``now``, Unix seconds."""
        ...

    async def bundle(self, asked: PolicyDraft, by: str) -> DraftBundle:
        """Return a draft as one file to sign."""
        ...

    async def signed(self, asked: SignedDraft, by: str) -> bytes:
        """Return a draft as one file with the signature that came with it: a trusted key's, over whatever it is."""
        ...

    async def explain(self, record: DecisionRecord, by: str) -> DecisionExplanation | None:
        """Return why something was decided; none where it is on record no more."""
        ...
