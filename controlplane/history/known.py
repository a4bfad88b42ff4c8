"""Everything that is known about one subject, for whoever it is about (subject access)."""

import json
from typing import Any, Literal

from controlplane.contracts.decision import DecisionQuery
from controlplane.decisions.logged import wanted_by
from controlplane.storage import Store
from controlplane.storage.decisions import MAX_PAGE

MOST_VERDICTS = 10_000
MOST_DECISIONS = 1_000_000
_SCAN = 1_000_000_000
_CHANNELS: tuple[Literal["access", "inference"], ...] = ("access", "inference")


async def known_of(store: Store, subject: str, most: int = MOST_DECISIONS) -> dict[str, Any]:
    """Return everything that is kept about a subject; what is not is null or empty.

    Args:
        store: where it is kept.
        subject: by the name that it was enrolled under, or that policy decided about.
        most: recorded decisions at most, the newest; ``decisions_left_out`` says whether there are more.
    """
    device = await store.devices.get(subject)
    kept = (await store.behaviour.kept([subject])).get(subject)
    habits = {channel: (await store.profiles.get(channel, [subject])).get(subject) for channel in _CHANNELS}
    decisions, is_more = await _decisions(store, subject, most)
    return {
        "subject": subject,
        "device": None if device is None else device.model_dump(mode="json"),
        "behaviour": None if kept is None or kept.record is None else kept.record.model_dump(mode="json"),
        "verdicts": [one.model_dump(mode="json") for one in await store.observations.verdicts(subject, MOST_VERDICTS)],
        "habits": {channel: json.loads(one.document) for channel, one in habits.items() if one is not None},
        "contributions": [one.model_dump(mode="json") for one in await store.contributions.of_subject(subject)],
        "decisions": decisions,
        "decisions_left_out": is_more,
    }


async def _decisions(store: Store, subject: str, most: int) -> tuple[list[Any], bool]:
    wanted, found, before = DecisionQuery(subject=subject), [], None
    while True:
        asked = wanted_by(wanted) if before is None else wanted_by(wanted, before)
        page = await store.decisions.page(asked, MAX_PAGE, _SCAN)
        found += [json.loads(document) for _, _, document in page.records]
        if len(found) > most:
            return found[:most], True
        if page.before is None or not page.records:
            return found, False
        before = page.before
