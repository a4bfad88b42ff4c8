"""What a dashboard is made of: queries, panels, rows and what stands around them. `rendering` makes JSON of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["timeseries", "stat", "heatmap", "table", "bargauge"]
ColumnKind = Literal["string", "number", "timestamp_epoch_s"]


@dataclass(frozen=True)
class Query:
    """One PromQL query.

    Attributes:
        expr: PromQL, without matchers for the dashboard's variables: rendering adds them (`scoping`).
        legend: name of its series, with labels in ``{{ }}``.
        exemplars: whether single decisions are shown on it, where Prometheus keeps exemplars.
    """

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True)
class Column:
    """A column of what the control plane's API answers.

    Attributes:
        selector: where its value is in a row, as gjson writes paths.
        title: what it is called on the dashboard.
        kind: how its value is read.
    """

    selector: str
    title: str
    kind: ColumnKind = "string"


@dataclass(frozen=True)
class LogQuery:
    """One request to the control plane's API for recorded decisions, through the Infinity data source.

    Attributes:
        path: below the control plane's address; it may name the dashboard's variables.
        columns: what is shown of each row.
        root: where the rows are in the answer; empty for the answer itself, as one row.
        parameters: of the request.
    """

    path: str
    columns: Sequence[Column]
    root: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        description: how to read it, and what to do when it looks bad.
        queries: its series, in order, all of one data source.
        unit: Grafana's name of the unit.
        kind: how it is drawn; a heatmap needs one histogram's buckets, a table shows the newest values.
        width: columns of 24.
        steps: value from which a colour holds, lowest first; none for the default.
        texts: what a value is shown as.
        leads_to: the dashboard (its uid) that tells more; none for no link.
    """

    title: str
    description: str
    queries: Sequence[Query | LogQuery]
    unit: str
    kind: Kind = "timeseries"
    width: int = 8
    steps: Sequence[tuple[float | None, str]] = ()
    texts: Sequence[tuple[int, str]] = ()
    leads_to: str = ""


@dataclass(frozen=True)
class Row:
    """A titled row of panels, all of one height in grid units."""

    title: str
    panels: Sequence[Panel]
    height: int = 7


@dataclass(frozen=True)
class Annotation:
    """Moments that are marked on every graph.

    Attributes:
        name: what is marked.
        expr: PromQL whose values are the moments, in milliseconds since 1970.
        title: of a mark, with labels in ``{{ }}``.
    """

    name: str
    expr: str
    title: str


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        uid: its name in addresses; it never changes.
        title: what it is called.
        description: the question that it answers.
        rows: from top to bottom.
        annotations: beside the policy revisions, which all dashboards mark.
        asks_for_decision: whether one decision can be named on it, in the variable ``decision``.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    annotations: Sequence[Annotation] = ()
    asks_for_decision: bool = False

    @property
    def slug(self) -> str:
        """The end of its address, as Grafana makes it of the title."""
        return self.title.lower().replace(" ", "-")

    @property
    def panels(self) -> list[Panel]:
        """Every panel, row by row."""
        return [panel for row in self.rows for panel in row.panels]
