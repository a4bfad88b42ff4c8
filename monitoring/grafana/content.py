"""What becomes of prompts and answers, as the row of a dashboard."""

from monitoring.grafana.panels import Panel, Query, Row
from monitoring.grafana.queries import last_hour

ROW = Row(
    "Prompts and answers",
    (
        Panel(
            "What became of content",
            "Prompts and answers that gateways asked about. Many denied or stepped up: an attack, or thresholds of "
            "data/content that are too low for what people ask. Errors: policy could not be asked, and nothing passed.",
            [
                Query(
                    "sum by (direction, outcome) (rate(ztfm_content_decisions_total[5m])) > 0",
                    "{{direction}} {{outcome}}",
                )
            ],
            "reqps",
            width=12,
        ),
        Panel(
            "What gateways had to do, 1 h",
            "Obligations that came with them: what was blacked out, rounded or taken out, and whom it slowed.",
            [last_hour("ztfm_content_obligations_total", "direction", "obligation")],
            "none",
            width=12,
        ),
    ),
)
