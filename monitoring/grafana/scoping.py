"""Ties PromQL to a dashboard's variables, so that each query is about what was chosen at its top."""

import re

SEGMENTED = frozenset(
    {
        "ztfm_behaviour_transitions_total",
        "ztfm_quarantines_total",
        "ztfm_site_vetoes_total",
        "ztfm_trust_score_bucket",
        "ztfm_trust_score_count",
        "ztfm_trust_score_sum",
        "ztfm_updates_total",
    }
)
"""Series of the control plane that say which segment they are about."""

_SERIES = re.compile(
    r"(?<![\w:$])(?P<name>(?:[a-z_]+:)?ztfm_[a-z0-9_:]+|process_[a-z_]+|up(?=[{)\s]|$))(?:\{(?P<matchers>[^}]*)\})?"
)


def scoped(expr: str) -> str:
    """Return PromQL with matchers for the variables that each of its series carries."""
    return _SERIES.sub(_scoped_series, expr)


def variables_of(expr: str) -> set[str]:
    """Return the variables that `scoped` ties an expression to."""
    return {variable for match in _SERIES.finditer(expr) for _, variable in _matched(match["name"])}


def _scoped_series(match: re.Match[str]) -> str:
    own = [match["matchers"]] if match["matchers"] else []
    added = [f'{label}=~"${variable}"' for label, variable in _matched(match["name"])]
    return f"{match['name']}{{{', '.join([*own, *added])}}}"


def _matched(name: str) -> list[tuple[str, str]]:
    """Return labels of a series, each with the variable that it is matched with."""
    level, colon, _ = name.partition(":")
    if name.startswith("ztfm_adapter_"):
        # An aggregator is another process with another job; its instance is chosen by itself.
        return [("instance", "aggregator")]
    found = [("job", "job")]
    if not colon or "instance" in level.split("_"):
        found.append(("instance", "instance"))
    if name in SEGMENTED or (colon and "segment" in level.split("_")):
        found.append(("segment", "segment"))
    return found
