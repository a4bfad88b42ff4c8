"""Which subjects were allowed to use which models lately: of whom nobody allowed any inference, no gateway reports one.

A worker knows at once what it allowed itself, and what others allowed as soon as they have judged the window that it
was in, from the profiles of requests. So this costs a lookup by key, however many decisions there are.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping

from controlplane.behavior.requests import USES, RequestProfile, mark_of
from controlplane.decisions.watching.profiles import ProfileBook
from controlplane.storage.profiles import Profiles

SUBJECTS = 65_536
"""Of which a worker remembers what it allowed itself; of more, those that asked longest ago are forgotten."""

LATELY_SECONDS = 3600.0
"""How long before the beginning of a window an inference may have been allowed, at most."""


class Uses:
    """Knows who used what.

    Args:
        profiles: of requests.
        most: subjects that are remembered.
    """

    def __init__(self, profiles: Profiles, most: int = SUBJECTS) -> None:
        self._profiles = ProfileBook(profiles, "access", RequestProfile)
        self._most = most
        self._own: OrderedDict[str, dict[str, float]] = OrderedDict()

    def allowed(self, subject: str, model: str, time: float) -> None:
        """Take note of an inference that was allowed, Unix seconds."""
        models = self._own.pop(subject, {})
        models.pop(model, None)
        models[model] = time
        if len(models) > USES:
            del models[next(iter(models))]
        self._own[subject] = models
        if len(self._own) > self._most:
            self._own.popitem(last=False)

    async def of(self, subjects: Collection[str]) -> "Used":
        """Return what subjects were allowed to use lately.

        Raises:
            StoreUnavailable: the store failed.
        """
        opened = await self._profiles.open(subjects)
        return Used(
            {name: dict(self._own.get(name, {})) for name in subjects},
            {name: one.used for name, one in opened.profiles.items()},
        )


class Used:
    """What some subjects were allowed to use lately."""

    def __init__(self, own: Mapping[str, Mapping[str, float]], told: Mapping[str, Mapping[str, float]]) -> None:
        self._own = own
        self._told = told

    def holds(self, subject: str, model: str, started_at: float) -> bool:
        """Whether a subject was allowed to use a model in a window that began then (Unix seconds), or lately before."""
        times = (self._own.get(subject, {}).get(model), self._told.get(subject, {}).get(mark_of(model)))
        return any(time is not None and time >= started_at - LATELY_SECONDS for time in times)
