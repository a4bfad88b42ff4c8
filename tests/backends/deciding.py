"""What a control plane has on record about a device, so that two ways of running one federation can be compared."""

from tests.support import ControlPlane

Decided = tuple[str, str, str, tuple[str, ...]]
"""Action, phase (``grant`` or ``admit`` of a submission, else empty), outcome, codes of reasons."""

ALLOWED: list[Decided] = [
    ("model_access", "", "allow", ()),
    ("gradient_submission", "grant", "allow", ()),
    ("gradient_submission", "admit", "allow", ()),
]
"""What is decided about an honest device in each round."""

SIGN_FLIPPED: list[Decided] = [*ALLOWED[:2], ("gradient_submission", "admit", "deny", ("update_aligned",))]
"""What is decided about a device in each round whose update is the contrary of an honest one."""


def decided(plane: ControlPlane, subject: str) -> list[list[Decided]]:
    """Return what was decided about a device in each round, in order of the rounds and of the decisions.

    What its own site decided is left out: `tests.adapters.site.houses.vetoes`.
    """
    operator = plane.enrol("operator")
    page = operator.get(f"/v1/decisions?subject={subject}&limit=100").expect(200)
    assert not page.get("next_token"), "more decisions than a page holds"
    rounds: dict[str, list[Decided]] = {}
    for shown in reversed(page["decisions"]):
        if shown["action"].startswith("site:"):
            continue
        record = operator.get(f"/v1/decisions/{shown['id']}").expect(200)
        context = record["facts"]["context"]
        if name := (context.get("round") or {}).get("id"):
            reasons = tuple(sorted(reason["code"] for reason in record["reasons"]))
            one = (record["action"], context.get("phase", ""), record["outcome"], reasons)
            rounds.setdefault(name, []).append(one)
    return list(rounds.values())
