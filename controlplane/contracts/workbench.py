"""The policy workbench: policies that somebody edits are checked, tested, asked and compared before anybody signs."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import StrictModel
from controlplane.contracts.decision import DecisionRecord
from controlplane.contracts.explanation import DecidedNow, Line, RequirementStanding
from controlplane.contracts.policies import PolicyLayer, Revision
from controlplane.contracts.shadow import SAMPLES, Disagreement

MAX_FILES = 2000
"""Of a policy folder, and of what is changed in it."""

MAX_BYTES = 4 * 1024 * 1024
"""Of a policy folder's files together."""

MAX_FINDINGS = 1000
MAX_TESTS = 5000
MAX_REPLAYED = 50_000
MAX_SINCE_SECONDS = 90 * 86_400.0

_STEP = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}"

SourcePath = Annotated[
    str, StringConstraints(max_length=200, pattern=rf"^({_STEP}/){{0,15}}{_STEP}\.(rego|json|yaml|yml|md)$")
]
"""Of a file within a policy folder, with slashes. No step begins with a dot, so none leads out and none is hidden."""

Files = Annotated[
    dict[SourcePath, Annotated[str, StringConstraints(max_length=1024 * 1024)] | None],
    Field(max_length=MAX_FILES, json_schema_extra={"additionalProperties": False}),
]
"""What is other than in the policies that are edited: the whole text by path, null for a file that goes."""

Tally = Annotated[int, Field(ge=0)]


class SourceFile(StrictModel):
    """A file of the policies.

    Attributes:
        text: absent of a file that holds no UTF-8.
    """

    path: str
    text: str | None = None


class PolicySources(StrictModel):
    """The policies that are edited.

    Attributes:
        revision: that they were released as, or that their folder would be; empty where the layer has none.
        origin: the release that is to decide, or the installation's folder where it brings no source.
    """

    layer: PolicyLayer
    revision: str
    origin: Literal["release", "folder", "none"]
    files: list[SourceFile]


class PolicyDraft(StrictModel):
    """Policies as somebody has edited them.

    Attributes:
        files: what is other than in the policies that are edited.
        layer: of these.
        revision: of these, where it matters that they are still the same.
    """

    files: Files = Field(default_factory=dict)
    layer: PolicyLayer = "base"
    revision: Revision | None = None


class CheckRequest(PolicyDraft):
    """Check a draft.

    Attributes:
        checks: only these; ``compile`` is always done. All where none are named.
    """

    checks: Annotated[list[Annotated[str, StringConstraints(pattern=r"^[a-z]{1,32}$")]], Field(max_length=16)] = Field(
        default_factory=list
    )


class PolicyFinding(StrictModel):
    """One thing that is wrong.

    Attributes:
        path: of the file.
        column: where OPA or the linter says it, 1 else.
        severity: of what the linter alone finds it is ``warning``: it keeps nothing from being released.
        code: the check that found it.
        remedy: what to do.
    """

    path: str
    line: Line
    column: Line
    severity: Literal["error", "warning"]
    code: str
    message: str
    remedy: str


class CheckedDraft(StrictModel):
    """What is wrong with a draft.

    Attributes:
        skipped: why a check was not done, by its name.
        left_out: findings beyond the first thousand.
    """

    findings: Annotated[list[PolicyFinding], Field(max_length=MAX_FINDINGS)]
    skipped: dict[str, str]
    left_out: Tally


class RanTest(StrictModel):
    """A test that ran.

    Attributes:
        package: as Rego names it.
        path: of its file.
        outcome: ``error`` where it could not be evaluated to its end; ``skipped`` for one that is named ``todo_``.
        message: of an error.
    """

    package: str
    name: str
    path: str
    line: Line
    outcome: Literal["passed", "failed", "error", "skipped"]
    seconds: Annotated[float, Field(ge=0.0)]
    message: str


LineRange = Annotated[list[Line], Field(min_length=2, max_length=2)]
"""From a line to a line, both within."""


class FileCoverage(StrictModel):
    """Which lines of a file the tests ran; lines that hold nothing to run are in neither list."""

    covered: list[LineRange]
    not_covered: list[LineRange]


class TestedDraft(StrictModel):
    """What came of a draft's tests and examples.

    Attributes:
        examples: how many were decided.
        tests: those that did not hold first.
        coverage: by file; empty when a test did not hold.
        shares: of lines that the tests ran, by package.
        findings: what did not hold, as the command has it: tests, examples, coverage below what is asked.
        left_out: tests and findings beyond what is listed.
    """

    __test__ = False

    passed: Tally
    failed: Tally
    examples: Tally
    tests: Annotated[list[RanTest], Field(max_length=MAX_TESTS)]
    coverage: dict[str, FileCoverage]
    shares: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]]
    findings: Annotated[list[PolicyFinding], Field(max_length=MAX_FINDINGS)]
    left_out: Tally


class EvaluateRequest(StrictModel):
    """Decide a recorded request by a draft of the base.

    Attributes:
        decision: the recorded one.
    """

    files: Files = Field(default_factory=dict)
    revision: Revision | None = None
    decision: Annotated[str, StringConstraints(pattern=r"^dec-[0-9a-f]{32}$")]


class DraftVerdict(StrictModel):
    """What a draft makes of a recorded request.

    Attributes:
        now: what it decides; none where it reads what was kept out of the log.
        requirements: with what did not hold of each.
        masked_and_read: pointers to facts that were kept out of the log and that it reads.
    """

    now: DecidedNow | None
    requirements: list[RequirementStanding]
    masked_and_read: list[str]


class EvaluatedDraft(DraftVerdict):
    """The same, beside what was recorded."""

    recorded: DecisionRecord


class ReplayRequest(StrictModel):
    """Decide recorded requests again by a draft of the base.

    Attributes:
        since_seconds: how long ago they were decided at most.
        limit: the newest so many.
    """

    files: Files = Field(default_factory=dict)
    revision: Revision | None = None
    since_seconds: Annotated[float, Field(gt=0.0, le=MAX_SINCE_SECONDS)] = 7 * 86_400.0
    limit: Annotated[int, Field(ge=1, le=MAX_REPLAYED)] = 10_000


class ReplayChange(StrictModel):
    """Decisions that a draft would change alike.

    Attributes:
        change: ``failed`` where it gives no decision, which denies.
        reason: what would be missing, or was; a decision with several is counted under each.
        segment: where the subject was enrolled; ``people``, or ``none``.
        subjects: whom it concerns, how many.
        examples: ids of a few of the decisions.
    """

    change: Disagreement | Literal["failed"]
    action: str
    reason: str
    segment: str
    count: Tally
    subjects: Tally
    examples: Annotated[list[str], Field(max_length=SAMPLES)]


class ReplayedDraft(StrictModel):
    """What a draft would have decided.

    Attributes:
        revision: of the draft.
        asked: recorded decisions that were looked at.
        decided: those that were compared.
        same: those that would be the same.
        unsure: those of which something was kept out of the log that the draft reads; they are not compared.
        not_decided: those that no policy had decided; they are not compared either.
        failed: those on which the draft gives no decision, which denies.
        totals: how many would be others, by how.
        changes: by how, action, reason and segment, the most frequent first.
    """

    revision: str
    asked: Tally
    decided: Tally
    same: Tally
    unsure: Tally
    not_decided: Tally
    failed: Tally
    totals: dict[Disagreement, Tally]
    changes: list[ReplayChange]


class DraftBundle(StrictModel):
    """A draft as one file that nobody vouches for yet.

    Attributes:
        key_ids: of the keys that are trusted for the layer.
        claims: base64url of what a signature has to be over: the payload of a compact JWS.
        bundle: base64 of the unsigned bundle, a ``.tar.gz``.
        embedded: whether an engine without OPA can use it too.
    """

    layer: PolicyLayer
    revision: Revision
    key_ids: list[str]
    claims: str
    bundle: str
    embedded: bool


class SignedDraft(PolicyDraft):
    """A draft, and the signature of somebody who vouches for it.

    Attributes:
        token: compact JWS (ES256, ``alg`` and ``kid`` in its header) over the claims of its `DraftBundle`.
    """

    token: Annotated[str, StringConstraints(min_length=1, max_length=1024 * 1024, pattern=r"^[A-Za-z0-9_.-]+$")]


class ShadowedDraft(SignedDraft):
    """The same, for the shadow, where the base alone has a place."""

    layer: Literal["base"] = "base"
