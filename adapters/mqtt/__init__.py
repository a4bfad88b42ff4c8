"""Federated learning over MQTT 5, through a broker: the protocol is in docs/adapters-mqtt.md.

`adapters.mqtt.opening.federation` opens a job, ``python -m adapters.mqtt`` runs one, `adapters.mqtt.client` takes part
in it without torch, and `adapters.mqtt.keeper` has the broker hold what policy says of topics.
"""

from adapters.mqtt.bounds import Bounds

__all__ = ["Bounds"]
