"""A device that takes part in a federated job over MQTT 5. It needs `ztfm[mqtt]`, numpy and safetensors, and no torch.

python device.py keys/device-7 broker.example:8883 --authority broker-authority.pem
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from adapters.member import Member
from adapters.mqtt.client import Address, Announced, MqttMember


def train(weights: Path, update: Path, now: Announced) -> int:
    """Write trained minus received, and return on how many examples; here a step that stands for a training."""
    random = np.random.default_rng()
    received = load_file(weights)
    step = {
        name: (0.1 * (1 + 0.3 * random.standard_normal(value.shape))).astype(value.dtype)
        for name, value in received.items()
    }
    save_file(step, update)
    print(f"trained for {now.document['round_id']}", flush=True)
    return 10


def main() -> None:
    """Take part until the job ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keys", type=Path, help="folder of the enrolled device (python -m adapters.enrol)")
    parser.add_argument("broker", help="HOST:PORT")
    parser.add_argument("--authority", type=Path, help="PEM file that the broker's certificate leads to")
    parser.add_argument("--audience", default="aggregator-1", help="the aggregator's name")
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder for weights and updates")
    given = parser.parse_args()
    host, _, port = given.broker.rpartition(":")
    address = Address(host, int(port))
    with (
        Member.open(given.keys) as member,
        MqttMember.open(member, address, server_authority=given.authority, audience=given.audience) as client,
    ):
        print(f"{client.take_part(train, given.work)} updates were sent")


if __name__ == "__main__":
    main()
