import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from controlplane.contracts.base import Identifier
from controlplane.identifiers.names import device_id
from controlplane.jose.keys import DeviceKey

_BASE64URL = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=43, max_size=43)


@given(_BASE64URL)
def test_a_name_is_an_identifier_and_holds_the_whole_thumbprint(thumbprint: str) -> None:
    name = TypeAdapter(Identifier).validate_python(device_id(thumbprint))
    assert name == f"dev-{thumbprint}"


def test_two_keys_have_two_names() -> None:
    assert len({device_id(DeviceKey.generate().thumbprint) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "text", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n", "é" + "A" * 42, "A/" + "A" * 41]
)
def test_what_is_no_thumbprint_names_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="43 characters"):
        device_id(text)
