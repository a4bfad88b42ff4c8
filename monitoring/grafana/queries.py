"""Queries that several dashboards ask, and the colours that say the same on all of them."""

from monitoring.grafana.panels import Query

GOOD_FROM_ONE = ((None, "red"), (1.0, "green"))
BAD_FROM_ONE = ((None, "green"), (1.0, "red"))
ODD_FROM_ONE = ((None, "green"), (1.0, "orange"))
NEVER_BAD = ((None, "green"),)

YES = ((0, "no"), (1, "yes"))

REACHED = "up and on (job, instance) max_over_time(ztfm_build_info[1d])"
"""1 or 0 for each control plane that was there within a day, whatever else Prometheus reads."""


def of_control_planes(expr: str) -> str:
    """Return what an expression about processes says of control planes alone."""
    return f"{expr} and on (job, instance) ztfm_build_info"


def quantiles(histogram: str, *labels: str, matching: str = "", exemplars: bool = False) -> list[Query]:
    """Return the median and the 99th percentile of a histogram over five minutes, by labels."""
    by, selected = ", ".join((*labels, "le")), _selected(f"{histogram}_bucket", matching)
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return [
        Query(
            f"histogram_quantile({share}, sum by ({by}) (rate({selected}[5m])))",
            f"{legend} {name}".strip(),
            exemplars,
        )
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]


def buckets(histogram: str) -> list[Query]:
    """Return a histogram's buckets, for a heatmap."""
    return [Query(f"sum by (le) (increase({histogram}_bucket[$__rate_interval]))", "{{le}}")]


def last_hour(counter: str, *labels: str) -> Query:
    """Return by how much a counter rose within an hour, by labels, without what did not move."""
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return Query(f"sum by ({', '.join(labels)}) (increase({counter}[1h])) > 0", legend)


def total(counter: str, window: str = "1h", matching: str = "") -> Query:
    """Return by how much a counter rose within a window, as one number that is 0 where nothing is counted."""
    return Query(f"sum(increase({_selected(counter, matching)}[{window}])) or vector(0)")


def _selected(name: str, matching: str) -> str:
    return f"{name}{{{matching}}}" if matching else name
