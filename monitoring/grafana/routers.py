"""Routers that enforce the table of grants, as each tells of itself, as the row of a dashboard."""

from monitoring.grafana.panels import Panel, Query, Row

ROW = Row(
    "Routers",
    (
        Panel(
            "Flows that pass, and addresses cut off",
            "In each router's kernel, as it was read back. Empty where no router's metrics are scraped: "
            "docs/segmentation-nftables.md says how.",
            [
                Query("sum by (instance) (ztfm_adapter_router_flows)", "{{instance}} flows"),
                Query("sum by (instance) (ztfm_adapter_router_cuts)", "{{instance}} cuts"),
            ],
            "short",
            width=8,
        ),
        Panel(
            "What happened to rules, 1 h",
            "By each router's own count. applied: a table was put in force and read back. refused: one was not, and "
            "took away what it takes away. disturbed: the kernel had other rules than were applied. silent: nothing "
            "passes, for want of word.",
            [Query("sum by (event) (increase(ztfm_adapter_router_events_total[1h]))", "{{event}}")],
            "short",
            width=6,
        ),
        Panel(
            "Without word of what is revoked",
            "A router hears every few seconds that nothing is. One that does not lets through what was granted until "
            "each grant ends, or nothing at all after --silence.",
            [Query("max by (instance) (ztfm_adapter_router_silence_seconds)", "{{instance}}")],
            "s",
            width=5,
        ),
        Panel(
            "Age of the newest table",
            "Tables are made where something changes. Old while grants come and go: the router does not reach the "
            "control plane. At refused, the newest is not in force as a whole, or somebody's rules pass by it.",
            [
                Query("time() - max by (instance) (ztfm_adapter_router_table_timestamp_seconds > 0)", "{{instance}}"),
                Query("max by (instance) (ztfm_adapter_router_refused) > 0", "{{instance}} refused"),
            ],
            "s",
            width=5,
        ),
    ),
    height=6,
)
