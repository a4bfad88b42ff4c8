"""The messages of Envoy's external authorisation that an authorizer reads and writes, by their field numbers.

Needs the extra ``envoy``. Fields that are not named here pass as unknown ones. The types are in a pool of their own:
a program that has Envoy's whole API loaded as well keeps both apart.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import message_factory  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto  # type: ignore[import-untyped]
from google.protobuf.descriptor_pool import DescriptorPool  # type: ignore[import-untyped]

PACKAGE = "envoy.service.auth.v3"
SERVICE = f"{PACKAGE}.Authorization"
METHOD = "Check"

_INT = FieldDescriptorProto.TYPE_INT32
_STRING = FieldDescriptorProto.TYPE_STRING
_BYTES = FieldDescriptorProto.TYPE_BYTES
_MESSAGE = FieldDescriptorProto.TYPE_MESSAGE
_ONE = FieldDescriptorProto.LABEL_OPTIONAL
_MANY = FieldDescriptorProto.LABEL_REPEATED

# A field is its number, its type or the name of its message, and whether there may be many. Maps are repeated entries.
_Fields = Mapping[str, tuple[int, int | str, int]]

_SHAPES: Mapping[str, _Fields] = {
    "Pair": {"key": (1, _STRING, _ONE), "value": (2, _STRING, _ONE), "raw_value": (3, _BYTES, _ONE)},
    "HeaderMap": {"headers": (1, "Pair", _MANY)},
    "Peer": {"certificate": (5, _STRING, _ONE)},
    "HttpRequest": {
        "method": (2, _STRING, _ONE),
        "headers": (3, "Pair", _MANY),
        "path": (4, _STRING, _ONE),
        "protocol": (10, _STRING, _ONE),
        "header_map": (13, "HeaderMap", _ONE),
    },
    "Request": {"http": (2, "HttpRequest", _ONE)},
    "Attributes": {"source": (1, "Peer", _ONE), "request": (4, "Request", _ONE)},
    "CheckRequest": {"attributes": (1, "Attributes", _ONE)},
    "Status": {"code": (1, _INT, _ONE), "message": (2, _STRING, _ONE)},
    "HttpStatus": {"code": (1, _INT, _ONE)},
    "Option": {"header": (1, "Pair", _ONE), "append_action": (3, _INT, _ONE)},
    "Denied": {
        "status": (1, "HttpStatus", _ONE),
        "headers": (2, "Option", _MANY),
        "body": (3, _STRING, _ONE),
    },
    "Ok": {"headers": (2, "Option", _MANY), "headers_to_remove": (5, _STRING, _MANY)},
    "CheckResponse": {
        "status": (1, "Status", _ONE),
        "denied_response": (2, "Denied", _ONE),
        "ok_response": (3, "Ok", _ONE),
    },
}


def _declared() -> FileDescriptorProto:
    declared = FileDescriptorProto(name="ztfm/envoy_authorization.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _SHAPES.items():
        declared.message_type.append(_message(name, fields))
    return declared


def _message(name: str, fields: _Fields) -> DescriptorProto:
    message = DescriptorProto(name=name)
    for field, (number, kind, label) in fields.items():
        made = message.field.add(name=field, number=number, label=label)
        if isinstance(kind, str):
            made.type, made.type_name = _MESSAGE, f".{PACKAGE}.{kind}"
        else:
            made.type = kind
    return message


_POOL = DescriptorPool()
_POOL.Add(_declared())


def _type(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


CheckRequest = _type("CheckRequest")
"""What Envoy asks: a request, and who sent it as far as its connection tells."""

CheckResponse = _type("CheckResponse")
"""The answer. One without fields lets the request pass: never send what was not filled."""
