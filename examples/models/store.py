"""Hand out signed models, ``python -m examples.models.store keys/gateway http://127.0.0.1:8080 signers models/*``.

Whoever has a capability to pull a model for serving gets the very file that the capability names, where its signer's
signature holds and no byte of it was altered since.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from adapters.models import AlteredError, ModelStore, SignatureRefused, load_signers
from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import capability_of, guard

RULE = Rule("model_access", path="/models/{resource}/{digest}", purpose="serving", methods=("GET",))


def build_app(folder: Path, public_url: str, store: ModelStore) -> web.Application:
    """Return the guarded store of the gateway that was enrolled in ``folder``."""

    async def send(request: web.Request) -> web.StreamResponse:
        named = capability_of(request).named
        answer = web.StreamResponse()
        try:
            with store.pieces(named.resource, named.digest or "") as pieces:
                for piece in pieces:
                    if not answer.prepared:
                        await answer.prepare(request)
                    await answer.write(piece)
        except SignatureRefused:
            raise web.HTTPNotFound from None
        except AlteredError:
            if answer.prepared and request.transport is not None:
                request.transport.abort()
            raise web.HTTPInternalServerError from None
        return answer

    app = web.Application()
    guard(app, EnforcementPoint.open(folder, audience="gateway-1", public_url=public_url, rules=[RULE]))
    app.router.add_get("/models/{resource}/{digest}", send)
    return app


if __name__ == "__main__":
    found = ModelStore(load_signers(Path(sys.argv[3])))
    for model in sys.argv[4:]:
        found.add(Path(model))
    at = urlsplit(sys.argv[2])
    web.run_app(build_app(Path(sys.argv[1]), sys.argv[2], found), host=at.hostname, port=at.port)
