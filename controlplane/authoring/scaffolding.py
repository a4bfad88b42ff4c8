"""Make a decision for a type of resource of the author's own, whole and passing, from the template."""

import json
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.folder import EXTRA, PolicyFolder
from controlplane.authoring.tools import builtin_names, call

TEMPLATE = Path(__file__).parent / "template"
PLACEHOLDER = "thing"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_NAME = 32
_RULES = ("actions", "decision", "granted", "missing", "required", "resources", "satisfied", "subjects")
_RESERVED = {
    "as", "contains", "data", "default", "else", "every", "false", "if", "import", "in", "input", "limits", "not",
    "null", "other", "package", "samples", "set", "some", "test", "true", "verdict", "with",
}  # fmt: skip
"""Words that mean something else in the template or in Rego."""


def create(opa: Path, folder: PolicyFolder, name: str) -> list[Path]:
    """Write the decision ``ztfm.extra.<name>`` with tests, examples, data, its schema and reasons; return the paths.

    Nothing is overwritten, and what was begun is taken away where it cannot be finished.

    Raises:
        AuthoringError: the name cannot be one, is taken, or the folder lacks what the decision stands on.
        OSError: the folder cannot be written.
    """
    refuse_name(opa, name, _RULES)
    policy, data = folder.root / "ztfm" / EXTRA / name, folder.root / "data" / name
    for taken in (policy, data):
        if taken.exists():
            raise AuthoringError(f"{taken} exists already: choose another name, or edit what is there")
    for needed in ("ztfm/lib/verdict", "ztfm/lib/samples", "ztfm/other", "data/reasons/data.json", "data/limits"):
        if not (folder.root / needed).exists():
            raise AuthoringError(f"{folder.root} has no {needed}: start from a copy of {folder.built_in}")
    reasons = folder.root / "data" / "reasons" / "data.json"
    merged = _with_reasons(reasons, name)
    files = {
        policy / "policy.rego": "policy.rego",
        policy / "policy_test.rego": "policy_test.rego",
        policy / "examples" / "allowed_granted.json": "examples/allowed_granted.json",
        policy / "examples" / "denied_not_granted.json": "examples/denied_not_granted.json",
        data / "data.json": "data.json",
        data / f"{name}.schema.json": "schema.json",
    }
    try:
        for path, source in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(source, name))
        # Imports are in order of name, so where one comes depends on it.
        call(opa, "fmt", "--write", ".", cwd=policy)
        reasons.write_text(merged)
    except (OSError, AuthoringError):
        shutil.rmtree(policy, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)
        raise
    return [*files, reasons]


def refuse_name(opa: Path, name: str, rules: Collection[str]) -> None:
    """Return when something may be called that in Rego.

    Args:
        opa: path of OPA, which knows its builtins.
        name: the name.
        rules: names of rules of the template, which no name may begin.

    Raises:
        AuthoringError: it may not; the message says why.
    """
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise AuthoringError(
            f"{name!r} cannot be a name here: use up to {_MAX_NAME} small letters, digits and single underscores, "
            "as in door or pump_station; docs/policies.md says what to do for a type that is no word"
        )
    if any(rule.startswith(name) for rule in rules):
        raise AuthoringError(f"{name!r} begins the name of a rule of every decision: choose another name")
    if name in _RESERVED or name in builtin_names(opa):
        raise AuthoringError(
            f"{name!r} means something else in Rego, and a rule of that name would hide it: choose another"
        )


def _filled(source: str, name: str) -> str:
    title = name.replace("_", " ").capitalize()
    text = (TEMPLATE / source).read_text()
    return text.replace("# title: Thing", f"# title: {title}").replace(PLACEHOLDER, name)


def _with_reasons(path: Path, name: str) -> str:
    """Return the texts of reasons with the new ones among them, in order of code.

    Raises:
        AuthoringError: the file cannot be read, or has a text under one of the codes.
    """
    try:
        texts = json.loads(path.read_text())
        added = json.loads(_filled("reasons.json", name))
    except (OSError, ValueError) as error:
        raise AuthoringError(f"{path} cannot be read: {error}") from None
    taken = sorted(set(texts) & set(added))
    if taken:
        raise AuthoringError(f"{path} has a text for {', '.join(taken)} already: choose another name")
    return json.dumps(dict(sorted({**texts, **added}.items())), indent=2, ensure_ascii=False) + "\n"


def start_folder(folder: Path, built_in: Path) -> bool:
    """Copy the product's policies into a folder that does not exist or is empty; say whether it was.

    Raises:
        OSError: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return False
    shutil.copytree(built_in, folder, dirs_exist_ok=True)
    return True
