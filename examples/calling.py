"""Call a guarded endpoint as an enrolled device: ``python -m examples.calling keys/device http://127.0.0.1:8080/v1/infer``."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from adapters.client import Prover, SyncCapabilities
from adapters.member import Member
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext

MODEL = Resource(type="model", id="smart-home-intents")


def ask(member: Member, capabilities: SyncCapabilities, url: str, text: str) -> Any:
    """Return the endpoint's answer, or what policy missed and what to do about it."""
    size = InferenceSize(prompt_tokens=len(text.split()), max_output_tokens=1)
    grant = capabilities.get("inference", MODEL, "gateway-1", CapabilityContext(inference=size))
    if not grant.allowed:
        return {reason.code: reason.remedy for reason in grant.reasons}
    shown = Prover(member.key).present("POST", url, grant.require().access_token)
    request = Request(url, json.dumps({"text": text}).encode(), shown)  # noqa: S310 - whoever runs this names the URL
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    with Member.open(Path(sys.argv[1])) as member, SyncCapabilities(member.plane) as capabilities:
        for text in ("turn the light on", "turn the light off"):
            print(ask(member, capabilities, sys.argv[2], text))
