"""Make the policies of a tenant or a site, or one more rule of theirs, whole and passing, from the template."""

import json
import re
import shutil
from pathlib import Path

from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.folder import read_json
from controlplane.authoring.scaffolding import PLACEHOLDER, refuse_name
from controlplane.authoring.tools import call
from controlplane.contracts.policies import PolicyLayer

_WORD = re.compile(rf"(?<![a-z]){PLACEHOLDER}")
TEMPLATE = Path(__file__).parent / "template_layer"
_RULES = ("answer", "proven", "required")

_SHARED = {
    "README.md": "README.md",
    "site/batch/batch.rego": "batch.rego",
    "site/batch/batch_test.rego": "batch_test.rego",
    "site/rules/answer.rego": "answer.rego",
    "site/reasons/reasons.schema.json": "reasons/schema.json",
}
"""What a layer has once, by where it comes from in the template."""

_OWN = {
    "site/rules/thing.rego": "rule.rego",
    "site/rules/thing_test.rego": "rule_test.rego",
    "site/data/thing/data.json": "data/data.json",
    "site/data/thing/thing.schema.json": "data/schema.json",
    "site/examples/model_access/allowed_thing_open.json": "examples/allowed_open.json",
    "site/examples/model_access/denied_thing_closed.json": "examples/denied_closed.json",
    "site/examples/inference/allowed_thing_other.json": "examples/allowed_other.json",
}
"""What each rule has."""


def create_layer(opa: Path, root: Path, layer: PolicyLayer, name: str) -> list[Path]:
    """Write the layer's policies where there are none yet, and the rule ``<name>_open``; return the paths.

    Nothing is overwritten, and what was begun is taken away where it cannot be finished.

    Raises:
        AuthoringError: the name cannot be one or is taken, or the folder holds something else.
        OSError: the folder cannot be written.
    """
    refuse_name(opa, name, _RULES)
    if (root / "ztfm").exists():
        raise AuthoringError(f"{root} holds the base's policies: a layer has a folder of its own")
    is_new = not (root / layer).exists()
    reasons = root / layer / "reasons" / "data.json"
    merged = _with_reason(reasons, name, is_new=is_new)
    files = {_place(root, place, layer, name): source for place, source in ((_SHARED if is_new else {}) | _OWN).items()}
    taken = sorted(path for path in files if path.exists())
    if taken:
        raise AuthoringError(f"{taken[0]} exists already: choose another name, or edit what is there")
    try:
        for path, source in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(source, layer, name))
        call(opa, "fmt", "--write", layer, cwd=root)
        reasons.parent.mkdir(parents=True, exist_ok=True)
        reasons.write_text(merged)
    except (OSError, AuthoringError):
        for path in files:
            path.unlink(missing_ok=True)
        if is_new:
            shutil.rmtree(root / layer, ignore_errors=True)
        raise
    return [*files, reasons]


def _place(root: Path, place: str, layer: str, name: str) -> Path:
    return root / place.replace("site/", f"{layer}/", 1).replace(PLACEHOLDER, name)


def _filled(source: str, layer: str, name: str) -> str:
    title = name.replace("_", " ").capitalize()
    text = _WORD.sub(name, (TEMPLATE / source).read_text().replace("site", layer))
    return text.replace("# title: Thing", f"# title: {title}")


def _with_reason(path: Path, name: str, *, is_new: bool) -> str:
    """Return the texts of reasons with the new one among them, in order of code."""
    texts = {} if is_new else read_json(path)
    if not isinstance(texts, dict):
        raise AuthoringError(f"{path} cannot be read: it holds the texts of the layer's reasons")
    added = json.loads(_filled("reasons/data.json", path.parent.parent.name, name))
    if set(texts) & set(added):
        raise AuthoringError(f"{path} has a text for {', '.join(added)} already: choose another name")
    return json.dumps(dict(sorted({**texts, **added}.items())), indent=2, ensure_ascii=False) + "\n"
