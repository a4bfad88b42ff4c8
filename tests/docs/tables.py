"""What the documents say that follows from the code: ``python -m tests.docs.tables`` writes it anew."""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from controlplane.api import openapi
from controlplane.api.application import ROUTES
from controlplane.api.problem_types import PROBLEM_TYPES, ProblemType, uri
from controlplane.contracts.base import StrictModel
from controlplane.contracts.problem import Problem
from controlplane.settings import Settings
from controlplane.tracesettings import TraceSettings
from tests.adapters.conformance.table import cases_table
from tests.controlplane.contracts.samples import ANSWERS, FORMS, LENIENT_SAMPLES, SAMPLES
from tests.monitoring.catalogue import families, series

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OPENAPI = DOCS / "openapi.json"
EXAMPLES = ROOT / "controlplane" / "contracts" / "examples.json"


def settings_table() -> str:
    """Return the settings with their defaults and what the class says of them."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    return "\n".join([*rows, *_settings_rows(Settings, "ZTFM"), *_settings_rows(TraceSettings, "OTEL")])


def _settings_rows(settings: type[BaseModel], prefix: str) -> list[str]:
    meanings = _attributes(settings.__doc__ or "")
    rows = []
    for name, field in settings.model_fields.items():
        if field.annotation == TraceSettings | None:
            continue
        default = "none" if field.default is None else f"`{field.default}`" if field.default != "" else "empty"
        rows.append(f"| `{prefix}_{name.upper()}` | {default} | {meanings[name]} |")
    return rows


def metrics_table() -> str:
    """Return the metrics with their kind, labels and help text."""
    rows = ["| metric | kind | labels | what it is |", "|---|---|---|---|"]
    for name, family in families().items():
        shown = f"{name}_total" if family.type == "counter" else name
        plain = series().get(shown, series().get(f"{name}_count", set()))
        labels = ", ".join(f"`{label}`" for label in sorted(plain)) or " "
        rows.append(f"| `{shown}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows)


def problem_list() -> str:
    """Return the kinds of problems with what they mean and what to do."""
    return "\n\n".join(_problem(kind, known) for kind, known in PROBLEM_TYPES.items())


def _problem(kind: str, known: ProblemType) -> str:
    statuses = ", ".join(map(str, known.statuses)) or "any of 400 to 599"
    lines = [f"## {kind}", "", f"`{uri(kind)}` · {statuses} · **{known.title}**", ""]
    lines += [f"- Cause: {known.cause}", f"- Remedy: {known.remedy}", f"- Try again: {known.retry}"]
    return "\n".join(lines)


TABLES = {
    "settings": ("operating.md", settings_table),
    "metrics": ("operating.md", metrics_table),
    "problems": ("problems.md", problem_list),
    "cases": ("adapters.md", cases_table),
}
"""The document that each part stands in, and what writes it."""


def shown(name: str) -> str:
    """Return a part as its document shows it."""
    text = (DOCS / TABLES[name][0]).read_text()
    found = re.search(rf"<!-- {name} -->(.*?)<!-- /{name} -->", text, re.DOTALL)
    return found[1].strip() if found else ""


def wire_models() -> list[type[StrictModel]]:
    """Return the models that the API takes and answers with, by name."""
    found = {model for route in ROUTES for model in (route.body, route.error, *route.replies.values()) if model}
    return sorted({Problem, *found}, key=lambda model: model.__name__)


def examples() -> dict[str, Any]:
    """Return the sample of each model that the API takes or answers with."""
    samples: dict[type, Any] = dict([*SAMPLES, *LENIENT_SAMPLES, *ANSWERS, *FORMS])
    return {model.__name__: samples[model] for model in wire_models() if model in samples}


def in_json(value: Any) -> str:
    """Return a document as it is checked in."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def contract() -> str:
    """Return the OpenAPI document as it is checked in."""
    return in_json(openapi.document(ROUTES, version("ztfm")))


def write() -> None:
    """Write every part into its document, and the OpenAPI document with its examples."""
    EXAMPLES.write_text(in_json(examples()))
    openapi.examples.cache_clear()
    OPENAPI.write_text(contract())
    for name, (document, table) in TABLES.items():
        path = DOCS / document
        before, _, rest = path.read_text().partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        path.write_text(f"{before}<!-- {name} -->\n{table()}\n<!-- /{name} -->{after}")


def _attributes(docstring: str) -> dict[str, str]:
    section = docstring.split("Attributes:", 1)[1]
    joined = re.sub(r"\n {12,}", " ", section)
    found = re.findall(r"^ {8}(\w+): (.+)$", joined, re.MULTILINE)
    return {name: text.replace("``", "`") for name, text in found}


if __name__ == "__main__":
    write()
