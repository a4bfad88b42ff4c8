"""A gateway that goes on answering while the line to the control plane is down, by the policies that it was given.

What was learned of a device while the line was up is kept with the time at which it was; the policies come as a signed
bundle, and the folder of keys says whose signature is believed. `pip install 'ztfm[embedded]'`, and with a bundle of
`ztfm policy build` and its public key in `trust/base/`:

    python -m examples.offline_site --bundle base.tar.gz --trust trust --device device.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

from adapters.offline import OfflineDecision, OfflinePolicy
from controlplane.bundles import Trust


def asked(device: dict[str, Any], model: str, prompt_tokens: int, used: dict[str, int]) -> dict[str, Any]:
    """Return the facts of an inference: what the gateway sees, and what it was told of the device.

    What alerts have had held since the line went down, nobody here can know: a gateway that must not answer then says
    `"known": False`, and denies.
    """
    return {
        "subject": {"type": "device", "id": device["id"], "properties": device["properties"]},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": model, "properties": {}},
        "context": {
            "network": {"address": device["address"]},
            "usage": {"window_seconds": 60.0, **used},
            "holds": {"known": True, "current": {}},
            "inference": {"prompt_tokens": prompt_tokens, "max_output_tokens": 64},
        },
    }


def answered(policy: OfflinePolicy, device: dict[str, Any], model: str) -> OfflineDecision:
    """Decide whether the device may ask the model now."""
    facts = asked(device, model, prompt_tokens=24, used={"requests": 0, "tokens": 0})
    return policy.decide("inference", facts, known_at=device["known_at"])


def main() -> int:
    """Decide one inference and say why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--trust", type=Path, required=True)
    parser.add_argument("--device", type=Path, required=True, help="JSON: id, address, properties, known_at")
    parser.add_argument("--model", default="smart-home-intents")
    given = parser.parse_args()
    with OfflinePolicy.load(given.bundle.read_bytes(), Trust.of_folder(given.trust)) as policy:
        decision = answered(policy, json.loads(given.device.read_text()), given.model)
    print(f"{'allowed' if decision.allowed else 'denied'} by {decision.policy_revision or 'no policy'}")
    for reason in decision.reasons:
        print(f"  {reason.code}: {reason.message} {reason.remedy}")
    return 0 if decision.allowed else 1


if __name__ == "__main__":
    raise SystemExit(main())
