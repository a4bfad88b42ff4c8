"""How a control plane resolves DIDs: the methods that its settings name, and its own organisation without asking."""

import time
from collections.abc import Callable, Mapping

from controlplane.api.services import Organisation
from controlplane.identifiers.documents import DidDocument, organisation_document
from controlplane.identity.resolving import DidMethod, Resolver
from controlplane.identity.resolving.key import KeyMethod
from controlplane.identity.resolving.plugging import plugged
from controlplane.identity.resolving.resolver import Observe
from controlplane.identity.resolving.web import WebMethod
from controlplane.settings import Settings

Whose = Callable[[], Organisation | None]


def build_resolver(
    settings: Settings,
    clock: Callable[[], float],
    *,
    whose: Whose = lambda: None,
    methods: Mapping[str, DidMethod] | None = None,
    observe: Observe = lambda _method, _outcome: None,
) -> Resolver:
    """Return the resolver that the settings ask for.

    Args:
        settings: name the methods, and whom may be asked.
        clock: Unix seconds.
        whose: returns the organisation that this control plane speaks for; none where it speaks for none.
        methods: that the settings may name too, by name; they go before those of installed packages.
        observe: is told of each resolution.

    Raises:
        MethodUnusable: a method that the settings name is not there.
    """

    def _own(did: str) -> DidDocument | None:
        organisation = whose()
        if organisation is None or organisation.did != did:
            return None
        return organisation_document(did, organisation.public)

    web = WebMethod(settings.listed_did_web_organisations, settings.did_web_reach, own=_own)
    known: dict[str, DidMethod] = {"key": KeyMethod(), "web": web, **(methods or {})}
    named = settings.listed_did_methods
    known.update(plugged(name for name in named if name not in known))
    return Resolver({name: known[name] for name in named}, clock=clock, timer=time.monotonic, observe=observe)
