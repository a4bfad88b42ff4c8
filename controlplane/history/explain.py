"""Why a request was decided as it was: what held, what was missing, where that is written, what would have helped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.contracts.decision import Decision
from controlplane.history.engine import deciding
from controlplane.history.nearest import Nearest, Search
from controlplane.history.records import Recorded
from controlplane.history.replay import decide_again
from controlplane.history.sources import Place, Reading, Sources, read_sources
from controlplane.history.values import ABSENT, at
from controlplane.sidecar import OpaBinary


@dataclass(frozen=True)
class Requirement:
    """One requirement of a decision.

    Attributes:
        held: whether it was proven; one that an exception waived was not.
        waived: whether an exception waived it.
        message: what was missing; empty when it held, as is the remedy.
        locations: ``file:row`` of the rules that prove it, in the policies that are looked at.
        values: the facts that these rules read, by path.
        data: the parts of the policies' data that they read.
    """

    code: str
    held: bool
    waived: bool
    message: str
    remedy: str
    locations: tuple[str, ...]
    values: dict[str, Any]
    data: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """A recorded decision, explained by policies that may be later ones.

    Attributes:
        recorded: the decision.
        revision: of the policies that are looked at.
        is_same: whether they say what the policies that decided said.
        requirements: what was required, the missing first.
        now: what they decide on the same facts.
        nearest: the smallest changes that they would allow; none where they allow it as it was.
    """

    recorded: Recorded
    revision: str
    is_same: bool
    requirements: tuple[Requirement, ...]
    now: Decision
    nearest: Nearest | None


async def explain(
    recorded: Recorded, opa: OpaBinary, policies: Path, donors: Sequence[dict[str, Any]] = ()
) -> Explanation:
    """Explain a recorded decision by a policy folder.

    Args:
        recorded: the decision.
        opa: reads the policies, and decides by them.
        policies: the folder.
        donors: facts of requests that were allowed, for what was absent.

    Raises:
        SidecarError: OPA does not come up, or the policies do not compile.
        ReplayFailed: OPA went away.
    """
    sources = await read_sources(opa, policies)
    package = rego_package(recorded, sources)
    async with deciding(opa, policies) as held:
        now = (await decide_again([recorded], held.engine))[0]
        nearest = None
        if now.outcome == "deny":
            codes = frozenset(reason.code for reason in now.reasons)
            search = Search(recorded.package, held.engine, sources, donors)
            nearest = await search.run(recorded.facts, codes, package)
    revision = str(recorded.document["policy_revision"])
    requirements = tuple(_requirements(recorded, sources, package))
    return Explanation(
        recorded, held.revision, content_of(revision) == content_of(held.revision), requirements, now, nearest
    )


def rego_package(recorded: Recorded, sources: Sources) -> str:
    """Return the Rego package whose rules decide: an author's own for a type of resource of theirs."""
    own = f"ztfm.extra.{recorded.facts['resource']['type']}"
    if recorded.package == "other" and sources.decides(own):
        return own
    return f"ztfm.{recorded.package}"


def content_of(revision: str) -> str:
    """Return the part of a revision that names the content; the commit may differ where nothing else does."""
    return revision.rpartition(".")[2]


def _requirements(recorded: Recorded, sources: Sources, package: str) -> list[Requirement]:
    reasons = {reason["code"]: reason for reason in recorded.document["reasons"]}
    waived = set(recorded.document["obligations"].get("waived") or ())
    codes = [*reasons, *sorted(set(recorded.document["rules"]) - reasons.keys())]
    found = []
    for code in codes:
        reading, reason = sources.reading(package, code), reasons.get(code, {})
        found.append(
            Requirement(
                code=code,
                held=code not in reasons and code not in waived,
                waived=code in waived,
                message=str(reason.get("message", "")),
                remedy=str(reason.get("remedy", "")),
                locations=reading.locations,
                values=_values(reading, recorded.facts),
                data=tuple(sorted(".".join(("data", *path)) for path in reading.data)),
            )
        )
    return found


def _values(reading: Reading, facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(reading.inputs):
        value = at(facts, path)
        found[_dotted(path)] = None if value is ABSENT else value
    return found


def _dotted(path: Place) -> str:
    return ".".join(path)
