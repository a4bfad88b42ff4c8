"""The workbench as the edge asks it: a draft is checked, tested, asked, compared and built, and nothing changes."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from controlplane.audit.errors import AuditUnavailable
from controlplane.authoring import AuthoringError, PolicyFolder
from controlplane.bundles import BundleRefused, Trust, read_archive
from controlplane.bundles.signing import with_signature
from controlplane.bundles.verification import signer_of
from controlplane.contracts.base import StrictModel
from controlplane.contracts.decision import DecisionQuery, DecisionRecord
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
from controlplane.decisions.sites import PACKAGE as SITE
from controlplane.history.deciders import deciders
from controlplane.history.records import DamagedRecord, allowed_alike, parse, recorded_rows
from controlplane.history.workbench.drafts import Drafts
from controlplane.history.workbench.trials import Trials
from controlplane.history.workbench.turns import Turns
from controlplane.storage.decisions import Decisions
from controlplane.storage.releases import Releases

Model = TypeVar("Model", bound=StrictModel)


@dataclass(frozen=True)
class Installed:
    """The policies of the installation.

    Attributes:
        folder: that is released where nobody released another.
        built_in: the product's own, which stands in for schemas and linter rules that another lacks.
    """

    folder: Path
    built_in: Path


class Bench:
    """Tries drafts, and explains recorded decisions; whoever asks is let in before.

    Args:
        drafts: knows what is edited.
        trials: tries.
        decisions: that were recorded.
        releases: what was released.
        trust: who may sign.
        installed: the policies of the installation.
    """

    def __init__(
        self,
        drafts: Drafts,
        trials: Trials,
        decisions: Decisions,
        releases: Releases,
        trust: Trust,
        installed: Installed,
    ) -> None:
        self._drafts = drafts
        self._trials = trials
        self._decisions = decisions
        self._releases = releases
        self._trust = trust
        self._installed = installed
        self._turns, self._explaining = Turns(), Turns()

    async def sources(self, layer: PolicyLayer) -> PolicySources:
        """Return the policies that are edited; raises as `Drafts.edited` does."""
        return (await self._drafts.edited(layer)).told()

    async def check(self, asked: CheckRequest, by: str) -> CheckedDraft:
        """Return what ``ztfm policy check`` finds in a draft.

        Raises:
            TrialsBusy, NoPolicyTools, DraftMoved: it is not tried.
            BundleRefused: it cannot be checked.
            StoreUnavailable: the store failed.
        """
        return _as(CheckedDraft, await self._tried("check", asked, by, {"checks": list(asked.checks)}))

    async def test(self, asked: PolicyDraft, by: str) -> TestedDraft:
        """Return what ``ztfm policy test`` says of a draft; raises as `check` does."""
        return _as(TestedDraft, await self._tried("test", asked, by, {}))

    async def evaluate(self, asked: EvaluateRequest, by: str) -> DraftVerdict | None:
        """Return how a draft decides a recorded request; none where it is not on record, or no policy here decided it.

        Raises as `check` does.
        """
        kept = await self._decisions.record(asked.decision)
        if kept is None or kept[0] == SITE:
            return None
        draft = PolicyDraft(files=asked.files, revision=asked.revision)
        return _as(DraftVerdict, await self._tried("evaluate", draft, by, _told(asked.decision, *kept)))

    async def replay(self, asked: ReplayRequest, by: str, now: float) -> ReplayedDraft:
        """Return how a draft decides what was decided lately, as ``ztfm policy replay`` says it.

        Raises as `check` does.
        """
        query = DecisionQuery(since=max(0.0, now - asked.since_seconds))
        draft = PolicyDraft(files=asked.files, revision=asked.revision)
        return _as(ReplayedDraft, await self._tried("replay", draft, by, {}, self._lines(query, asked.limit)))

    async def bundle(self, asked: PolicyDraft, by: str) -> DraftBundle:
        """Return a draft as ``ztfm policy build --unsigned`` builds it; raises as `check` does."""
        key_ids = sorted(self._trust.keys(asked.layer))
        found = await self._tried("bundle", asked, by, {})
        return _as(DraftBundle, {**found, "layer": asked.layer, "key_ids": key_ids})

    async def signed(self, asked: SignedDraft, by: str) -> bytes:
        """Return a draft as a bundle that bears a signature of a trusted key, whatever that is over.

        Raises as `check` does.
        """
        signer_of(asked.token, self._trust, asked.layer)
        found = await self._tried("bundle", asked, by, {})
        return await asyncio.to_thread(lambda: with_signature(read_archive(b64decode(found["bundle"])), asked.token))

    async def explain(self, record: DecisionRecord, by: str) -> DecisionExplanation | None:
        """Return what ``ztfm policy explain`` says of a recorded decision; none where it is on record no more.

        Raises as `check` does.
        """
        kept = await self._decisions.record(record.id)
        if kept is None:
            return None
        if kept[0] == SITE:
            return _of_site(record)
        try:
            donors = await allowed_alike(self._decisions, parse(record.id, *kept))
            today = PolicyFolder.open(self._installed.folder, self._installed.built_in)
        except AuthoringError as error:
            raise BundleRefused("cannot_be_checked", str(error)) from None
        except DamagedRecord as error:
            raise AuditUnavailable(str(error)) from None
        async with (
            self._explaining.of(by),
            deciders(record.policy_revision, today, self._releases, self._trust) as policies,
        ):
            told = {
                **_told(record.id, *kept),
                "donors": donors,
                "revision": policies.revision,
                "is_same": policies.is_same,
                "is_released": policies.is_released,
            }
            said = await self._trials.run("explain", policies.folder.root, told)
        return _as(DecisionExplanation, {**said, "decision": record.model_dump(mode="json")})

    async def _tried(
        self,
        work: str,
        draft: PolicyDraft,
        by: str,
        told: Mapping[str, Any],
        records: AsyncIterator[bytes] | None = None,
    ) -> Any:
        files = await self._drafts.draft(draft.layer, draft.files, draft.revision)
        async with self._turns.of(by):
            return await self._trials.run(work, files, {**told, "layer": draft.layer}, records)

    async def _lines(self, query: DecisionQuery, limit: int) -> AsyncIterator[bytes]:
        async for rows in recorded_rows(self._decisions, query, limit):
            yield b"".join(b"%b\t%b\t%b\n" % (name.encode(), package.encode(), kept) for name, package, kept in rows)


def _told(identifier: str, package: str, document: bytes) -> dict[str, Any]:
    return {"id": identifier, "package": package, "document": document.decode()}


def _of_site(record: DecisionRecord) -> DecisionExplanation:
    """What a site told of a decision of its own; its policies and facts lie elsewhere."""
    site: Any = record.facts["site"]
    missing = [
        {"code": f"site:{code}", "held": False, "waived": False, "message": "", "remedy": "", "differences": []}
        for code in site["reasons"]
    ]
    return _as(
        DecisionExplanation,
        {
            "decision": record.model_dump(mode="json"),
            "policies_revision": str(site["policy_revision"] or ""),
            "policies_are_those_that_decided": False,
            "policies_from": "site",
            "requirements": [{**one, "file": "", "line": 0, "conditions": []} for one in missing],
            "again": None,
            "masked_and_read": [],
            "nearest": None,
        },
    )


def _as(model: type[Model], said: Any) -> Model:
    return model.model_validate_json(json.dumps(said))
