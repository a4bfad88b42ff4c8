"""The table of the kit's cases in docs/adapters.md: ``python -m tests.adapters.conformance.table`` writes it anew."""

from pathlib import Path

from adapters.conformance.cases import CASES, Case

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "adapters.md"
BEGIN, END = "<!-- cases -->", "<!-- /cases -->"


ENTERS = {
    "never": "nothing",
    "first": "its first update",
    "always": "all six",
    "at-most-once": "one of the two at most",
    "later": "all six, in the last round",
}


def cases_table() -> str:
    """Return the cases with what goes wrong and what must hold."""
    rows = [
        "| case | what goes wrong | goes into the model | sees weights | causes | on record |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *(_row(case) for case in CASES)])


def _row(case: Case) -> str:
    causes = ", ".join(f"`{cause}`" for cause in sorted(case.causes)) or "none"
    cells = (f"`{case.name}`", case.what, ENTERS[case.enters], _word(case.is_served), causes, _word(case.is_decided))
    return f"| {' | '.join(cells)} |"


def _word(claim: bool) -> str:
    return "yes" if claim else "no"


def shown() -> str:
    """Return the table as the document shows it."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].strip()


def write() -> None:
    """Write the table into the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{cases_table()}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    write()
