"""Gateways: what stands before model servers lets through, how long answers take, and what they cost in tokens."""

from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import quantiles

_LET_THROUGH = Row(
    "Who is let through",
    (
        Panel(
            "Requests at gateways",
            "What was let through and what was refused, by cause, as each gateway counts by itself. Empty where no "
            "gateway's metrics are scraped: docs/gateway.md says how.",
            [
                Query(
                    "sum by (audience, outcome) (rate(ztfm_adapter_gateway_requests_total[5m]))",
                    "{{audience}} {{outcome}}",
                )
            ],
            "reqps",
        ),
        Panel(
            "Refused, share of requests",
            "Who shows nothing or something that does not hold. A rise after a policy change: capabilities are not "
            "given out any more, look at the inference dashboard; of wrong_key or proof_replayed alone: an attack.",
            [
                Query(
                    'sum by (audience) (rate(ztfm_adapter_gateway_requests_total{outcome!="allowed"}[5m]))'
                    " / sum by (audience) (rate(ztfm_adapter_gateway_requests_total[5m]))",
                    "{{audience}}",
                )
            ],
            "percentunit",
            leads_to="ztfm-inference",
        ),
        Panel(
            "Gateways that trust nothing, 5 min",
            "Requests that were refused because keys or revocations were not heard of. Anything above zero: that "
            "gateway does not reach the control plane, and lets nobody through until it does.",
            [
                Query(
                    "sum by (audience) (increase(ztfm_adapter_gateway_requests_total"
                    '{outcome=~"keys_lost|revocations_unknown"}[5m])) or '
                    'label_replace(vector(0), "audience", "none", "", "")',
                    "{{audience}}",
                )
            ],
            "short",
        ),
    ),
)

_ANSWERS = Row(
    "Answers",
    (
        Panel(
            "Time to the last byte",
            "From a request that was let through to the end of its answer, by what was asked. Long ones: the model "
            "server, or answers without a bound on their tokens.",
            quantiles("gen_ai_server_request_duration_seconds", "gen_ai_operation_name"),
            "s",
        ),
        Panel(
            "Time to the first token",
            "What somebody waits before a stream begins. It rises where the model server queues; the gateway's own "
            "part is a millisecond or two.",
            quantiles("gen_ai_server_time_to_first_token_seconds", "gen_ai_request_model"),
            "s",
        ),
        Panel(
            "Time for each further token",
            "How fast streams run after their first token. It rises where the model server serves too many at a time.",
            quantiles("gen_ai_server_time_per_output_token_seconds", "gen_ai_request_model"),
            "s",
        ),
    ),
)

_BROKEN = Row(
    "Answers that did not end well",
    (
        Panel(
            "Requests that came to nothing",
            "By what stopped them: upstream_* is the model server, budget and content are policy's, client_gone went "
            "away by itself. The alert on upstream failures has a runbook.",
            [
                Query(
                    "sum by (gen_ai_request_model, error_type) "
                    '(rate(gen_ai_server_request_duration_seconds_count{error_type!=""}[5m]))',
                    "{{gen_ai_request_model}} {{error_type}}",
                )
            ],
            "reqps",
            width=12,
        ),
        Panel(
            "Streams that run, and were cut in 1 h",
            "Answers that stream now, and those that ended because their capability was revoked or expired, or policy "
            "or a budget said so. Many cuts by expired: ask for capabilities that last as long as answers do.",
            [
                Query("sum by (audience) (ztfm_adapter_gateway_streams)", "{{audience}} run"),
                Query("sum by (cause) (increase(ztfm_adapter_gateway_cuts_total[1h]))", "cut: {{cause}}"),
            ],
            "short",
            width=12,
        ),
    ),
)

_TOKENS = Row(
    "Tokens",
    (
        Panel(
            "Tokens a minute",
            "Of prompts and of answers, by model. What budgets are spent on; a rise without more requests is longer "
            "prompts.",
            [
                Query(
                    "sum by (gen_ai_request_model, gen_ai_token_type) (60 * rate(gen_ai_client_token_usage_sum[5m]))",
                    "{{gen_ai_request_model}} {{gen_ai_token_type}}",
                )
            ],
            "short",
            width=12,
        ),
        Panel(
            "Tokens of one request",
            "How large prompts and answers are. An answer's 99th percentile at the bound of its capability: many are "
            "cut off in the middle of what they say.",
            quantiles("gen_ai_client_token_usage", "gen_ai_token_type"),
            "short",
            width=12,
        ),
    ),
)

DASHBOARD = Dashboard(
    "ztfm-gateways",
    "ZTFM gateways and models",
    "What do gateways let through, how long do answers take, and what do they cost in tokens?",
    (_LET_THROUGH, _ANSWERS, _BROKEN, _TOKENS),
)
