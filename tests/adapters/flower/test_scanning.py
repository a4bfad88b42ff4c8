"""A pushed object is read piece by piece as protobuf reads it whole, or not at all."""

import pytest
from flwr.proto.message_pb2 import PushObjectRequest
from flwr.proto.node_pb2 import Node
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from adapters.flower.proxy.scanning import Malformed, PushedObject

words = st.text(max_size=70)
requests = st.builds(
    PushObjectRequest,
    node=st.builds(Node, node_id=st.integers(0, 2**64 - 1)),
    run_id=st.integers(0, 2**64 - 1),
    object_id=words,
    object_content=st.binary(max_size=300),
    session_id=words,
)


def scanned(body: bytes, step: int) -> PushObjectRequest:
    read = PushedObject()
    for start in range(0, len(body), step):
        read.feed(body[start : start + step])
    found: PushObjectRequest = read.end()
    return found


@given(requests, st.integers(1, 400))
def test_what_is_read_is_the_request_without_its_object(request: PushObjectRequest, step: int) -> None:
    without = PushObjectRequest()
    without.CopyFrom(request)
    without.ClearField("object_content")
    assert scanned(request.SerializeToString(), step) == without


@given(st.binary(max_size=80), st.integers(1, 90))
def test_other_bytes_are_refused_or_mean_the_same_to_both(body: bytes, step: int) -> None:
    try:
        found = scanned(body, step)
    except Malformed:
        return
    whole = PushObjectRequest.FromString(body)
    whole.ClearField("object_content")
    assert found == whole


@given(requests, st.sampled_from(PushObjectRequest.DESCRIPTOR.fields_by_name.keys()))
def test_a_field_that_comes_twice_is_refused(request: PushObjectRequest, name: str) -> None:
    again = PushObjectRequest(node=Node(node_id=1), run_id=1, object_id="x", object_content=b"x", session_id="x")
    for other in list(PushObjectRequest.DESCRIPTOR.fields_by_name):
        if other != name:
            again.ClearField(other)
    first = PushObjectRequest()
    first.CopyFrom(request)
    first.MergeFrom(
        PushObjectRequest(node=Node(node_id=2), run_id=2, object_id="y", object_content=b"y", session_id="y")
    )
    with pytest.raises(Malformed):
        scanned(first.SerializeToString() + again.SerializeToString(), 7)


def test_what_ends_within_a_field_is_refused() -> None:
    body = PushObjectRequest(object_id="x" * 64, object_content=b"y" * 64).SerializeToString()
    for end in range(1, len(body)):
        try:
            PushObjectRequest.FromString(body[:end])
        except DecodeError:
            with pytest.raises(Malformed):
                scanned(body[:end], 16)


def test_a_long_object_is_not_kept() -> None:
    body = PushObjectRequest(object_id="x", object_content=b"y" * 5_000_000).SerializeToString()
    read = PushedObject()
    for start in range(0, len(body), 65_536):
        read.feed(body[start : start + 65_536])
        assert len(read._waiting) + len(read._small) < 200
    assert read.end().object_id == "x"
