"""Ask a model through the proxy, and print its answer as it comes.

``python -m examples.gateway.own.ask keys/device https://models.example turn on the light``
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

from adapters.client import Prover, SyncCapabilities
from adapters.member import Member
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext

MODEL = Resource(type="model", id="smart-home-intents")
PATH = "/v1/chat/completions"


class Cut(Exception):  # noqa: N818 - what happened, as whoever reads the answer sees it
    """The answer ended before its end: what came of it is no answer."""


def words(member: Member, capabilities: SyncCapabilities, url: str, text: str) -> Iterator[str]:
    """Give out an answer word by word.

    Raises:
        Cut: the answer was cut, as when the capability was revoked meanwhile. The message says why.
        Denied: policy denies the capability.
    """
    size = InferenceSize(prompt_tokens=len(text), max_output_tokens=64)
    grant = capabilities.get("inference", MODEL, "gateway-1", CapabilityContext(inference=size))
    shown = Prover(member.key).present("POST", url + PATH, grant.require().access_token)
    body = {"model": MODEL.id, "messages": [{"role": "user", "content": text}], "stream": True}
    request = Request(url + PATH, json.dumps(body).encode(), {**shown, "Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=60) as answer:  # noqa: S310 - whoever runs this names the URL
        for line in answer:
            data = line.decode().removeprefix("data: ").strip()
            if data == "[DONE]":
                return
            event = json.loads(data) if data.startswith("{") else {}
            if "error" in event:
                raise Cut(event["error"]["message"])
            for choice in event.get("choices", ()):
                yield choice["delta"].get("content", "")
    raise Cut("the connection ended before the answer did")


if __name__ == "__main__":
    with Member.open(Path(sys.argv[1])) as member, SyncCapabilities(member.plane) as capabilities:
        for word in words(member, capabilities, sys.argv[2], " ".join(sys.argv[3:])):
            print(word, end="", flush=True)
    print()
