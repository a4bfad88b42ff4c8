"""The pieces of work on policies, as the authors' commands do them; each returns JSON of its contract."""

import asyncio
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, Any

from controlplane.authoring import AuthoringError, Finding, PolicyFolder, Tools, check, explain, open_folder, run_tests
from controlplane.authoring.checking import checks_of
from controlplane.authoring.references import check_references
from controlplane.authoring.requesting import Request
from controlplane.authoring.testing import Ran
from controlplane.bundles import BundleRefused
from controlplane.bundles.archive import write_archive
from controlplane.bundles.layout import WASM
from controlplane.bundles.reach import require_confined
from controlplane.bundles.signing import claims_of
from controlplane.contracts.workbench import MAX_FINDINGS, MAX_TESTS
from controlplane.sidecar import OpaBinary, SidecarError
from controlplane.sidecar.folders import product_folder

NO_COMMIT = "nogit"
"""What a revision begins with whose policies lie in no repository."""

_NO_LINTER = "regal is not installed here"
Told = Mapping[str, Any]


def do(told: Told, records: IO[bytes]) -> dict[str, Any]:
    """Return what a piece of work says, as ``answer``, or why the policies cannot be tried, as ``refused``.

    Args:
        told: the work's name, the folder, the programs, and what it is to know.
        records: lines of recorded decisions.
    """
    try:
        return {"answer": WORK[told["work"]](told, records)}
    except BundleRefused as refused:
        reason, detail = str(refused.reason), refused.detail
    except AuthoringError as error:
        reason, detail = _why(str(error)), str(error)
    except UnicodeDecodeError:
        reason, detail = "cannot_be_checked", "a file of rules, tests or data is not UTF-8"
    except (SidecarError, OSError, RecursionError) as error:
        reason, detail = "cannot_be_checked", str(error) or type(error).__name__
    return {"refused": reason, "detail": _within(detail, Path(told["folder"]))}


def _why(said: str) -> str:
    return "does_not_compile" if "rego_" in said or "do not compile" in said else "cannot_be_checked"


def _within(text: str, root: Path) -> str:
    """Return a text without the folder's name, which is nobody's."""
    return text.replace(f"{root}/", "").replace(str(root), "the policies")


def _opened(told: Told) -> tuple[PolicyFolder, Tools]:
    folder = open_folder(Path(told["folder"]), product_folder("policies"), told.get("layer", "base"))
    regal = told["regal"]
    return folder, Tools(Path(told["opa"]["path"]), None if regal is None else Path(regal))


def _confined(told: Told) -> tuple[PolicyFolder, Tools]:
    """Return folder and programs where no rule or test calls, and no schema refers to, what no policy may.

    Raises:
        BundleRefused: ``does_not_compile``.
        AuthoringError: they do not parse.
    """
    folder, tools = _opened(told)
    paths = [*folder.rego_files(), *folder.rego_files(tests=True)]
    require_confined({path.relative_to(folder.root).as_posix(): path.read_bytes() for path in paths})
    foreign = check_references(tools, folder)
    if foreign:
        raise BundleRefused("does_not_compile", f"{foreign[0].file}:{foreign[0].line}: {foreign[0].message}")
    return folder, tools


def _check(told: Told, _records: IO[bytes]) -> dict[str, Any]:
    folder, tools = _opened(told)
    only = told["checks"]
    unknown = sorted(set(only) - checks_of(folder).keys())
    if unknown:
        raise AuthoringError(f"there is no check {unknown[0]!r}; there are {', '.join(checks_of(folder))}")
    found: list[Finding] = []
    skipped = {} if tools.regal is not None or (only and "lint" not in only) else {"lint": _NO_LINTER}
    for done in check(tools, folder, lint=tools.regal is not None, only=only):
        found += done.findings
        skipped |= {done.check: done.skipped} if done.skipped else {}
    return {
        "findings": _findings(found, folder),
        "skipped": skipped,
        "left_out": max(0, len(found) - MAX_FINDINGS),
    }


def _findings(found: Sequence[Finding], folder: PolicyFolder) -> list[dict[str, Any]]:
    return [
        {
            "path": item.file or ".",
            "line": item.line,
            "column": item.column,
            "severity": "warning" if item.check.startswith("lint:") else "error",
            "code": item.check,
            "message": _within(item.message, folder.root),
            "remedy": _within(item.remedy, folder.root),
        }
        for item in islice(found, MAX_FINDINGS)
    ]


def _test(told: Told, _records: IO[bytes]) -> dict[str, Any]:
    folder, tools = _confined(told)
    tested = run_tests(tools, folder)
    ran = sorted(tested.ran, key=lambda one: (one.outcome in {"passed", "skipped"}, one.file, one.line, one.name))
    passed = sum(one.outcome in {"passed", "skipped"} for one in ran)
    left_out = max(0, len(ran) - MAX_TESTS) + max(0, len(tested.findings) - MAX_FINDINGS)
    return {
        "passed": passed,
        "failed": len(ran) - passed,
        "examples": tested.examples,
        "tests": [_ran(one) for one in ran[:MAX_TESTS]],
        "coverage": {name: asdict(lines) for name, lines in tested.lines.items()},
        "shares": tested.coverage,
        "findings": _findings(tested.findings, folder),
        "left_out": left_out,
    }


def _ran(one: Ran) -> dict[str, Any]:
    told = asdict(one)
    path = told.pop("file")
    return {**told, "path": path}


def _evaluate(told: Told, _records: IO[bytes]) -> dict[str, Any]:
    from controlplane.history.documents import missing
    from controlplane.history.masked import masked_and_read
    from controlplane.history.records import parse
    from controlplane.history.sources import read_sources

    folder, tools = _confined(told)
    recorded = parse(told["id"], told["package"], told["document"].encode())
    found = explain(tools.opa, folder, Request(recorded.package, recorded.facts))
    unsure: tuple[str, ...] = ()
    if recorded.masked:
        unsure = masked_and_read(recorded, asyncio.run(read_sources(_opa(told), folder.root)))
    return {
        "now": None if unsure else {"allow": found.allow, "missing": missing(found)},
        "requirements": [asdict(one) for one in found.requirements],
        "masked_and_read": list(unsure),
    }


def _explain(told: Told, _records: IO[bytes]) -> dict[str, Any]:
    from controlplane.history.deciders import Deciders
    from controlplane.history.documents import explained
    from controlplane.history.explain import explain as explain_recorded
    from controlplane.history.records import parse

    folder, _ = _opened(told)
    recorded = parse(told["id"], told["package"], told["document"].encode())
    found = asyncio.run(explain_recorded(recorded, _opa(told), folder, told["donors"]))
    return explained(found, Deciders(folder, told["revision"], told["is_same"], told["is_released"]))


def _replay(told: Told, records: IO[bytes]) -> dict[str, Any]:
    from controlplane.history.records import DamagedRecord
    from controlplane.history.replay import ReplayFailed

    folder, _ = _confined(told)
    try:
        return asyncio.run(_replayed(folder, _opa(told), records))
    except (ReplayFailed, DamagedRecord) as error:
        raise AuthoringError(str(error)) from None


async def _replayed(folder: PolicyFolder, opa: OpaBinary, records: IO[bytes]) -> dict[str, Any]:
    from controlplane.history.documents import in_order
    from controlplane.history.engine import deciding
    from controlplane.history.masked import Readers
    from controlplane.history.replay import replay

    asked = 0

    def progress(done: int) -> None:
        nonlocal asked
        asked = done

    async with deciding(opa, folder.root) as policies:
        found = await replay(_pieces(records), policies.engine, Readers(opa, folder.root).reads_masked, progress)
        return {
            "revision": policies.revision,
            "asked": asked,
            "decided": found.decided,
            "same": found.decided - sum(found.changes.values()),
            "unsure": found.masked,
            "not_decided": found.not_decided,
            "failed": found.failed,
            "totals": {change: count for change, count in found.changes.items() if count},
            "changes": [
                {
                    "change": group.change,
                    "action": group.action,
                    "reason": group.reason,
                    "segment": group.segment,
                    "count": group.count,
                    "subjects": len(group.subjects),
                    "examples": [sample.id for sample in group.samples],
                }
                for group in in_order(found)
            ],
        }


async def _pieces(records: IO[bytes]) -> AsyncIterator[list[Any]]:
    """Yield the recorded decisions that are told line by line: id, package and document, with tabs between them."""
    from controlplane.history.records import PIECE, parse

    while lines := await asyncio.to_thread(lambda: list(islice(records, PIECE))):
        parts = [line.rstrip(b"\n").split(b"\t", 2) for line in lines]
        yield [parse(identifier.decode(), package.decode(), document) for identifier, package, document in parts]


def _bundle(told: Told, _records: IO[bytes]) -> dict[str, Any]:
    from controlplane.releases.building import WasmError, build_files, read_source

    folder, _ = _confined(told)
    layer = told["layer"]
    source = read_source(folder.root, layer)
    try:
        made = build_files(_opa(told), source, layer, NO_COMMIT, wasm=True, said="the policies")
    except WasmError:
        made = build_files(_opa(told), source, layer, NO_COMMIT, wasm=False, said="the policies")
    claims = claims_of(made.files, layer, made.revision)
    return {
        "revision": made.revision,
        "claims": urlsafe_b64encode(claims).rstrip(b"=").decode(),
        "bundle": b64encode(write_archive(made.files)).decode(),
        "embedded": WASM in made.files,
    }


def _opa(told: Told) -> OpaBinary:
    stated = told["opa"]
    major, minor, patch = stated["version"]
    return OpaBinary(Path(stated["path"]), (major, minor, patch), stated["source"])


WORK: Mapping[str, Callable[[Told, IO[bytes]], dict[str, Any]]] = {
    "check": _check,
    "test": _test,
    "evaluate": _evaluate,
    "explain": _explain,
    "replay": _replay,
    "bundle": _bundle,
}
"""By name."""
