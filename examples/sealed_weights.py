"""Hand out sealed weights by shards: ``python -m examples.sealed_weights keys/gateway weights.sealed http://127.0.0.1:8080``.

This endpoint cannot open what it serves. A device gets the shards that its capability names, and their keys from the
control plane, once it has proven its platform: `open_as` is its side.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from aiohttp import web

from adapters.client import Prover
from adapters.member import Member
from adapters.sealed.handing import SEALED_WEIGHTS, chosen, pieces
from adapters.sealed.keys import fetch_shards
from adapters.sealed.opening import SealedWeights, open_weights
from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import capability_of, guard
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import CapabilityContext

MODEL = "smart-home-intents"


def build_app(folder: Path, sealed: Path, public_url: str) -> web.Application:
    """Return the guarded application of the gateway that was enrolled in ``folder``."""

    async def weights(request: web.Request) -> web.StreamResponse:
        """Answer with the shards that the caller's capability names."""
        with SealedWeights(sealed) as found:
            try:
                few = chosen(found, capability_of(request).limits)
            except SealRefused as refused:
                raise web.HTTPForbidden(text=str(refused)) from None
            answer = web.StreamResponse(headers={"Content-Type": SEALED_WEIGHTS, "Content-Length": str(few.total())})
            await answer.prepare(request)
            for piece in pieces(found, few):
                await answer.write(piece)
        return answer

    app = web.Application()
    rules = [Rule("model_access", MODEL, "/v1/weights/{digest}", ("GET",), purpose="serving", by_shards=True)]
    guard(app, EnforcementPoint.open(folder, audience="gateway-1", public_url=public_url, rules=rules))
    app.router.add_get("/v1/weights/{digest}", weights)
    return app


def open_as(member: Member, key: PrivateReleaseKey, url: str, digest: str, out: Path) -> list[str]:
    """Fetch weights as a device, open them into a safetensors file, and return the names of their tensors.

    Args:
        member: the device; its evidence binds the public half of ``key``.
        key: to which the shards' keys are sealed.
        url: of the gateway.
        digest: of the released weights.
        out: the file.
    """
    model = Resource(type="model", id=MODEL, properties=ResourceProperties(digest=digest))
    asked = member.plane.capability("model_access", model, "gateway-1", CapabilityContext(purpose="serving"))
    capability = asked.require().access_token
    url = f"{url}/v1/weights/{digest}"
    shown = Prover(member.key).present("GET", url, capability)
    sealed = out.with_suffix(".sealed")
    with urlopen(Request(url, headers=shown), timeout=60) as answer:  # noqa: S310 - whoever runs this names the URL
        sealed.write_bytes(answer.read())
    with SealedWeights(sealed) as found:
        found.require(MODEL)
        shards = sorted(found.preamble.present)
        return open_weights(found, fetch_shards(member.plane, member.id, key, capability, shards), out)


if __name__ == "__main__":
    at = urlsplit(sys.argv[3])
    web.run_app(build_app(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]), host=at.hostname, port=at.port)
