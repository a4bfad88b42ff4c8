"""Ties PromQL to a dashboard's variables, so that each query is about what was chosen at its top."""

import re

_HISTOGRAMS = ("ztfm_trust_score", "ztfm_update_cosine_distance", "ztfm_update_norm_ratio", "ztfm_update_p_value")
_COUNTERS = ("ztfm_behaviour_transitions", "ztfm_quarantines", "ztfm_site_vetoes", "ztfm_updates")

SEGMENTED = frozenset(
    {f"{name}_total" for name in _COUNTERS}
    | {f"{name}_{part}" for name in _HISTOGRAMS for part in ("bucket", "count", "sum")}
)
"""Series of the control plane that say which segment they are about."""

_SERIES = re.compile(
    r"(?<![\w:$])(?P<name>(?:[a-z_]+:)?(?:ztfm|gen_ai_(?:client|server))_[a-z0-9_:]+|process_[a-z_]+|up(?=[{)\s]|$))(?:\{(?P<matchers>[^}]*)\})?"
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
    if name.startswith(("gen_ai_", "ztfm_adapter_gateway_")):
        return [("instance", "gateway")]
    if name.startswith("ztfm_adapter_router_"):
        return [("instance", "router")]
    if name.startswith("ztfm_adapter_"):
        # An aggregator is another process with another job; its instance is chosen by itself.
        return [("instance", "aggregator")]
    found = [("job", "job")]
    if not colon or "instance" in level.split("_"):
        found.append(("instance", "instance"))
    if name in SEGMENTED or (colon and "segment" in level.split("_")):
        found.append(("segment", "segment"))
    return found
