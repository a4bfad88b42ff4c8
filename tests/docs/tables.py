"""The tables of docs/operating.md that follow from the code: ``python -m tests.docs.tables`` writes them anew."""

import re
from pathlib import Path

from controlplane.settings import Settings
from tests.monitoring.catalogue import families, series

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


def settings_table() -> str:
    """Return the settings with their defaults and what the class says of them."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    meanings = _attributes(Settings.__doc__ or "")
    for name, field in Settings.model_fields.items():
        default = "none" if field.default is None else f"`{field.default}`"
        rows.append(f"| `ZTFM_{name.upper()}` | {default} | {meanings[name]} |")
    return "\n".join(rows)


def metrics_table() -> str:
    """Return the metrics with their kind, labels and help text."""
    rows = ["| metric | kind | labels | what it is |", "|---|---|---|---|"]
    for name, family in families().items():
        shown = f"{name}_total" if family.type == "counter" else name
        plain = series().get(shown, series().get(f"{name}_count", set()))
        labels = ", ".join(f"`{label}`" for label in sorted(plain)) or " "
        rows.append(f"| `{shown}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows)


TABLES = {"settings": settings_table, "metrics": metrics_table}


def shown(name: str) -> str:
    """Return a table as the document shows it."""
    found = re.search(rf"<!-- {name} -->(.*?)<!-- /{name} -->", OPERATING.read_text(), re.DOTALL)
    return found[1].strip() if found else ""


def write() -> None:
    """Write every table into the document."""
    text = OPERATING.read_text()
    for name, table in TABLES.items():
        before, _, rest = text.partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}<!-- {name} -->\n{table()}\n<!-- /{name} -->{after}"
    OPERATING.write_text(text)


def _attributes(docstring: str) -> dict[str, str]:
    section = docstring.split("Attributes:", 1)[1]
    joined = re.sub(r"\n {12,}", " ", section)
    found = re.findall(r"^ {8}(\w+): (.+)$", joined, re.MULTILINE)
    return {name: text.replace("``", "`") for name, text in found}


if __name__ == "__main__":
    write()
