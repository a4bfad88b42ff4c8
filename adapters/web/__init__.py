"""Guard an HTTP endpoint: capability and key proof are verified offline, before the application sees a request.

`adapters.web.aiohttp` and `adapters.web.asgi` put an `EnforcementPoint` in front of an application.
"""

from adapters.web.admission import Admitted
from adapters.web.point import EnforcementPoint
from adapters.web.rules import Rule

__all__ = ["Admitted", "EnforcementPoint", "Rule"]
