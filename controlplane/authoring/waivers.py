"""Whether exceptions could count: what they waive is named among what can be waived, and that is required somewhere."""

from collections.abc import Iterator

from controlplane.authoring.findings import Finding, line_of
from controlplane.authoring.folder import PolicyFolder, read_json

LIMITS = "data/limits/data.json"
EXCEPTIONS = "data/exceptions/data.json"


def waiver_findings(folder: PolicyFolder) -> Iterator[Finding]:
    """Find signed exceptions of what cannot be waived, and what could be waived and is no requirement.

    Where the data is not of the form that its schemas say, nothing is found: they say so.
    """
    limits, exceptions = read_json(folder.root / LIMITS), read_json(folder.root / EXCEPTIONS)
    waivable = limits.get("waivable") if isinstance(limits, dict) else None
    if not isinstance(waivable, dict):
        return
    reasons = folder.reasons()
    for code in sorted(waivable.keys() - reasons.keys() if reasons else ()):
        message = f"{code} can be waived, and no reason has this code."
        remedy = f"Correct its name, or give the requirement a text in {folder.reasons_file.relative_to(folder.root)}."
        yield Finding(LIMITS, line_of(folder.root / LIMITS, f'"{code}"'), "data", message, remedy)
    for code in sorted(_waived(exceptions) - waivable.keys()):
        message = f"An exception waives {code}, which cannot be waived: it counts for nothing."
        remedy = f"Name {code} under waivable of {LIMITS}, or take it out of the exception."
        yield Finding(EXCEPTIONS, line_of(folder.root / EXCEPTIONS, f'"{code}"'), "data", message, remedy)


def _waived(exceptions: object) -> set[str]:
    subjects = exceptions.values() if isinstance(exceptions, dict) else ()
    alike = [one for of_subject in subjects if isinstance(of_subject, dict) for one in of_subject.values()]
    found = [one.get("waives") for one in alike if isinstance(one, dict)]
    return {code for waives in found if isinstance(waives, dict) for code in waives}
