"""Mosquitto's dynamic security plugin: who may use which topic, changed while the broker runs.

Its commands travel as JSON over ``$CONTROL/dynamic-security/v1``
(https://mosquitto.org/documentation/dynamic-security/).
"""

import json
import secrets
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from paho.mqtt.client import MQTTMessage

from adapters.errors import Unavailable
from adapters.mqtt.envelope import properties_of
from adapters.mqtt.link import Link
from adapters.mqtt.topics import Use

CONTROL = "$CONTROL/dynamic-security/v1"
RESPONSE = f"{CONTROL}/response"

_SECONDS = 5.0
_COMMANDS_AT_ONCE = 64
_PRESENT = frozenset({"Client already exists", "Role already exists"})
_ABSENT = frozenset({"Client not found", "Role not found"})

Command = Mapping[str, Any]


class DynamicSecurity:
    """Speaks to the plugin, in batches; threads take turns. Its link must hand it what comes on `RESPONSE`.

    Args:
        link: connected as the client that the plugin's own file names.
        keeper: that client's name.
    """

    def __init__(self, link: Link, keeper: str) -> None:
        self.keeper = keeper
        self._link = link
        self._turn = threading.Lock()
        self._answers: dict[str, Mapping[str, Any]] = {}
        link.subscribe(RESPONSE)

    def arrived(self, message: MQTTMessage) -> None:
        """Take an answer in; called in the link's thread."""
        try:
            found = json.loads(message.payload)
            for answer in found["responses"]:
                number = answer.get("correlationData")
                if number in self._answers:
                    self._answers[number] = answer
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        self._link.notify()

    def tend(self) -> None:
        """Ask the broker once more where it refused the plugin's topic."""
        self._link.tend()

    def names(self) -> list[str]:
        """Return the clients that the plugin knows.

        Raises:
            Unavailable: it does not answer, or refuses.
        """
        answer = self._ask([{"command": "listClients", "verbose": False, "count": -1, "offset": 0}])[0]
        return [str(one) for one in answer.get("data", {}).get("clients", ())]

    def grant(self, name: str, uses: Collection[Use]) -> None:
        """Let a client use these topics and no others.

        Raises:
            Unavailable: the plugin does not answer, or refuses; what the client may then is not known.
        """
        acls = acls_of(uses)
        self._ask(
            [
                {"command": "createRole", "rolename": name, "acls": acls},
                {"command": "modifyRole", "rolename": name, "acls": acls},
                {"command": "createClient", "username": name, "roles": [{"rolename": name}]},
                {"command": "modifyClient", "username": name, "roles": [{"rolename": name}]},
            ]
        )

    def withdraw(self, names: Sequence[str]) -> None:
        """Take all topics from clients, and cut their connections.

        Raises:
            Unavailable: the plugin does not answer, or refuses.
        """
        commands: list[Command] = []
        for name in names:
            commands.append({"command": "deleteRole", "rolename": name})
            commands.append({"command": "deleteClient", "username": name})
        for begin in range(0, len(commands), _COMMANDS_AT_ONCE):
            self._ask(commands[begin : begin + _COMMANDS_AT_ONCE])

    def _ask(self, commands: Sequence[Command]) -> list[Mapping[str, Any]]:
        """Have commands carried out, and return the answers in order."""
        with self._turn:
            return self._carried_out(commands)

    def _carried_out(self, commands: Sequence[Command]) -> list[Mapping[str, Any]]:
        numbers = [secrets.token_hex(8) for _ in commands]
        self._answers.update({number: {} for number in numbers})
        try:
            body = {
                "commands": [
                    {**command, "correlationData": number} for command, number in zip(commands, numbers, strict=True)
                ]
            }
            if not self._link.wait(lambda: self._link.has_topics, _SECONDS):
                raise Unavailable(f"the broker does not let this gateway keep its topics: {self._link.last_words}")
            sent = self._link.publish(CONTROL, json.dumps(body).encode(), properties_of({}, expiry_seconds=_SECONDS))
            if sent is None:
                raise Unavailable("too many messages wait for the broker")
            self._link.wait(
                lambda: all(self._answers[number] for number in numbers) or self._link.is_refused(sent), _SECONDS
            )
            answers = [self._answers[number] for number in numbers]
        finally:
            for number in numbers:
                del self._answers[number]
        for command, answer in zip(commands, answers, strict=True):
            if not answer:
                raise Unavailable("the broker's dynamic security does not answer: is this gateway its keeper?")
            error = str(answer.get("error", ""))
            if error and error not in _PRESENT | _ABSENT:
                raise Unavailable(f"the broker did not carry out {command['command']}: {error}")
        return answers


def acls_of(uses: Collection[Use]) -> list[Command]:
    """Return access rules, in the plugin's words, that allow these uses alone."""
    rules: list[Command] = []
    for action, topic in sorted(uses):
        kinds = ("publishClientSend",) if action == "publish" else ("subscribeLiteral", "publishClientReceive")
        rules += [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind in kinds]
    return rules
