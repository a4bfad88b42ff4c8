"""Proxies whose configuration names the original request in headers of our own: nginx, and HAProxy through Lua."""

from collections.abc import Mapping
from typing import Final

from adapters.gateway.authorizing import Answer
from adapters.gateway.dialects.certificates import by_escaped_pem, by_item
from adapters.gateway.dialects.reading import Dialect, SubRequest, only
from adapters.web.answering import Refusal

_MAX_PROBLEM_BYTES = 2048


def original(sub: SubRequest) -> tuple[str, str] | Refusal:
    """Return method and target out of ``X-Original-Method`` and ``X-Original-URI``."""
    method, target = only(sub.headers, "x-original-method"), only(sub.headers, "x-original-uri")
    if isinstance(method, Refusal):
        return method
    return target if isinstance(target, Refusal) else (method, target)


def for_nginx(answer: Answer) -> Answer:
    """Return an answer as ``auth_request`` can take it: 200, 401, 403, or 503 of which nginx makes a 500.

    nginx drops the rest, so that status and problem document go in headers, from which its configuration may restore
    them: ``Ztfm-Status`` and ``Ztfm-Problem``.
    """
    if answer.is_allowed:
        return answer
    status = 503 if answer.status >= 500 else 401 if answer.status == 401 else 403
    told: Mapping[str, str] = {"Ztfm-Status": str(answer.status)}
    if len(answer.body) <= _MAX_PROBLEM_BYTES:
        told = {**told, "Ztfm-Problem": answer.body.decode("ascii")}
    return Answer(status, {**answer.headers, **told}, answer.body)


NGINX: Final = Dialect("nginx", original, by_escaped_pem, answered=for_nginx)
"""``ngx_http_auth_request_module``."""

HAPROXY: Final = Dialect("haproxy", original, by_item)
"""The Lua action of ``examples/gateway/haproxy``."""
