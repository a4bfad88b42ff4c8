import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.targets import normal_target


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Control.Example:443/v1/rounds", "HTTPS://control.example/v1/rounds?x=1#part"),
        ("http://127.0.0.1:80", "http://127.0.0.1/"),
        ("http://h/%7Euser", "http://h/~user"),
        ("http://h/a%2fb", "http://h/a%2Fb"),
        ("urn:ztfm:gw:r1", "URN:ztfm:gw:r1"),
    ],
)
def test_two_spellings_of_one_target_are_equal(one: str, other: str) -> None:
    assert normal_target(one) == normal_target(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h/a", "http://h/a"),
        ("https://h/a", "https://h:8443/a"),
        ("https://h/a", "https://h/A"),
        ("https://h/a/b", "https://h/a%2Fb"),
        ("https://h/a", "https://h/a/"),
        ("http://h:443/a", "http://h/a"),
        ("urn:ztfm:gw:r1", "urn:ztfm:gw:R1"),
        ("urn:ztfm:gw:r1", "urn://ztfm:gw:r1"),
    ],
)
def test_two_targets_stay_two(one: str, other: str) -> None:
    assert normal_target(one) != normal_target(other)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v1/rounds",
        "h/a",
        "http://[::1",
        "http://u:p@h/a",
        "http://h/a\nb",
        "http://h/ä",
        "http:",
        "http://h/" + "a" * 2048,
    ],
)
def test_what_is_no_plain_absolute_target_is_none(url: str) -> None:
    assert normal_target(url) is None


@given(st.text(max_size=80))
def test_any_text_is_a_target_or_none_and_the_target_is_its_own(url: str) -> None:
    target = normal_target(url)
    assert target is None or normal_target(target) == target
