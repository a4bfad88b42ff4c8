"""What a node may do to the events that it shows."""

from typing import Any

from eth_utils import to_bytes

from controlplane.identity.ledgers.evm.reading import RECORDS
from tests.controlplane.identity.ledgers.conformance import Lie
from tests.controlplane.identity.ledgers.evm.chains import Twist


def lying(lie: Lie, number: int) -> Twist:
    """Return what lies about a record, by its number from 0."""
    wanted = number + 1

    def twist(method: str, _asked: Any, answer: Any) -> Any:
        if method != "eth_getLogs":
            return answer
        logs = [dict(one) for one in answer]
        if lie == "omits":
            return [one for one in logs if _number(one) != wanted]
        by_number = {_number(one): one for one in logs}
        if wanted not in by_number:
            return logs
        shown = by_number[wanted]
        if lie == "alters":
            data = bytearray(to_bytes(_raw(shown["data"])))
            # The tail is zeros up to a word; before it is the end of the record's JSON.
            at = len(data.rstrip(b"\0")) - 5
            data[at] = ord("A") if data[at] != ord("A") else ord("B")
            shown["data"] = "0x" + data.hex()
        elif wanted + 1 in by_number:
            other = by_number[wanted + 1]
            shown["data"], other["data"] = other["data"], shown["data"]
            shown["topics"], other["topics"] = (
                [*shown["topics"][:2], *other["topics"][2:]],
                [*other["topics"][:2], *shown["topics"][2:]],
            )
        return logs

    return twist


def _raw(value: Any) -> bytes:
    return bytes(to_bytes(hexstr=value)) if isinstance(value, str) else bytes(value)


def _number(log: dict[str, Any]) -> int:
    return int.from_bytes(_raw(log["topics"][1]), "big")


assert any(one.get("name") == "Written" for one in RECORDS.abi)
