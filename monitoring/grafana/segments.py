"""Micro-segmentation, as the row of a dashboard: ways that are opened, and the table that routers enforce."""

from monitoring.grafana.panels import Panel, Query, Row
from monitoring.grafana.queries import last_hour

ROW = Row(
    "Network segments",
    (
        Panel(
            "Ways on the network, 15 min",
            "Capabilities of attached devices for services, by what became of their way. denied: data/segmentation "
            "names no flow, or the attachment is wrong. error, full, unknown: the device has a capability and reaches "
            "nothing.",
            [Query("sum by (outcome) (increase(ztfm_segment_ways_total[15m])) > 0", "{{outcome}}")],
            "short",
            width=8,
        ),
        Panel(
            "Grants and cuts in the table",
            "As it was made last. Grants come and go with capabilities. A cut is an attached device that is set apart "
            "or revoked: nothing reaches it, and it reaches nothing.",
            [Query("max(ztfm_segment_grants)", "grants"), Query("max(ztfm_segment_cuts)", "cuts")],
            "short",
            width=6,
        ),
        Panel(
            "Attached devices",
            "Whose place on the network is known. A device that is not among them has no way to any service; fewer "
            "than a moment ago: who removed them is in the log, action attachment:remove.",
            [
                Query("max(ztfm_segment_attachments)", "attached"),
                last_hour("ztfm_segment_attachment_changes_total", "change"),
            ],
            "short",
            width=6,
        ),
        Panel(
            "Time to make the table",
            "Routers wait for it. Beyond half a second cuts come late over the table; routers that follow the events "
            "cut all the same.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (le) (rate(ztfm_segment_table_seconds_bucket[5m])))",
                    "p99",
                )
            ],
            "s",
            width=4,
        ),
    ),
    height=6,
)
