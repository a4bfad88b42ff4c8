"""Classifiers by their names: the rules that ship, and what other packages bring."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from adapters.gateway.content.interface import Classifier
from adapters.gateway.content.rules import Rules

GROUP = "ztfm.classifiers"
"""Group of entry points. What a name leads to is called without arguments and returns a
`adapters.gateway.content.interface.Classifier`."""

BUILT_IN: dict[str, Callable[[], Classifier]] = {"rules": Rules}
"""Those that come with this package; no other package replaces them."""


class ClassifierUnusable(Exception):  # noqa: N818 - named for what happened
    """A classifier that was named cannot be used. The message says which, and what to do."""


def load_classifiers(names: Sequence[str] = ("rules",)) -> list[Classifier]:
    """Return the classifiers of these names, in order; every one of them looks at everything.

    Only what is named is loaded: an installed package alone changes nothing.

    Raises:
        ClassifierUnusable: none is named, one is named twice, nobody or more than one package brings it, or it cannot
            be opened.
    """
    if not names or len(set(names)) != len(names):
        raise ClassifierUnusable("name at least one classifier, and each once: without one nobody looks at content")
    return [_load(name) for name in names]


def _load(name: str) -> Classifier:
    opens = BUILT_IN.get(name)
    try:
        found = opens() if opens is not None else _point(name)()
    except ClassifierUnusable:
        raise
    except ModuleNotFoundError as error:
        raise ClassifierUnusable(f"the classifier {name!r} needs the library {error.name}: install it") from None
    except Exception as error:
        raise ClassifierUnusable(f"the classifier {name!r} cannot be opened: {type(error).__name__}") from error
    if not callable(found):
        raise ClassifierUnusable(f"what the entry point {name!r} returns is no classifier: it cannot be called")
    return found


def _point(name: str) -> Callable[[], Classifier]:
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if len(points) != 1:
        there = "several packages bring" if points else "no installed package brings"
        raise ClassifierUnusable(
            f"{there} a classifier {name!r} ({GROUP}); those that come with ztfm: {', '.join(sorted(BUILT_IN))}"
        )
    found: Callable[[], Classifier] = points[0].load()
    return found
