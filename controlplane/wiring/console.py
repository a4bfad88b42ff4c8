"""The console: who is signed in, and with whom people sign in."""

from controlplane.api.services.console import ConsoleParts
from controlplane.capabilities.sealing import Sealer
from controlplane.identity.codeflow import CodeFlow
from controlplane.identity.sessions import Sessions
from controlplane.wiring.common import Common


def wire_console(common: Common, sealer: Sealer, provider: CodeFlow | None) -> ConsoleParts | None:
    """Return what signs people in; none where there is no console."""
    if common.settings.console == "off":
        return None
    return ConsoleParts(Sessions(common.store.sessions, common.clock), sealer, provider)
