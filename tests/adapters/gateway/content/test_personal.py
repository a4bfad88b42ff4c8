"""Personal data by form and check digits: what is found where, and what is not mistaken for it."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.content.checksums import iban, luhn, mod_11_10, verhoeff
from adapters.gateway.content.national import FORMS
from adapters.gateway.content.personal import IBAN_LENGTHS, personal_places

# Published examples of each kind.
EXAMPLES = {
    "email": ["ada.lovelace+x@mail.example.org", "jürgen@münchen.example"],
    "phone": ["+49 30 1234567", "+1 (212) 555-0123", "0044 20 7946 0958", "(212) 555-0123"],
    "card": ["4111 1111 1111 1111", "5555555555554444", "3782-822463-10005"],
    "iban": [
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "fr14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
    ],
    "br_cpf": ["529.982.247-25", "11144477735"],
    "cn_resident": ["11010519491231002X"],
    "de_tax": ["86095742719", "65 929 970 489"],
    "es_dni": ["12345678Z", "X-1234567-L"],
    "fi_hetu": ["131052-308T"],
    "fr_nir": ["2 55 08 14 168 025 38"],
    "gb_nino": ["AB 12 34 56 C"],
    "in_aadhaar": ["2341 2341 2346"],
    "it_fiscal": ["RSSMRA85T10A562S"],
    "no_person": ["150765 00565"],
    "pl_pesel": ["44051401359"],
    "se_person": ["811228-9874", "19811228-9874"],
    "us_ssn": ["078-05-1120"],
}
CASES = [(kind, text) for kind, texts in EXAMPLES.items() for text in texts]


def kinds(text: str) -> set[str]:
    return {kind for _, _, kind in personal_places(text)}


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_an_example_is_found_whole_within_a_sentence(kind: str, text: str) -> None:
    before = "Write down, please: "
    found = {(start, end) for start, end, one in personal_places(f"{before}{text}, and thanks.") if one == kind}
    assert found == {(len(before), len(before) + len(text))}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, text in CASES if kind not in {"email", "phone", "us_ssn", "gb_nino"}]
)
def test_another_last_digit_is_another_number(kind: str, text: str) -> None:
    digits = string.digits if text[-1].isdigit() else string.ascii_uppercase
    others = [text[:-1] + other for other in digits if other != text[-1].upper()]
    assert [other for other in others if kind in kinds(other)] == []


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, text in CASES if kind != "email"])
def test_letters_without_spaces_between_them_hide_nothing(kind: str, text: str) -> None:
    found = {
        (start, end)
        for start, end, one in personal_places(f"\u53f7\u7801{text}\u5e2e\u6211\u8bb0\u4f4f")
        if one == kind
    }
    assert found == {(2, 2 + len(text))}


def test_an_address_is_found_within_a_long_line_without_spaces() -> None:
    before, after = "\u8bf7" * 90, "\u6211" * 60
    text = f"{before}ada@example.org{after}"
    assert [
        text[start:end].removesuffix("ada@example.org").strip("\u8bf7") for start, end, _ in personal_places(text)
    ] == [""]
    assert [kind for _, _, kind in personal_places("x" * 200 + "ada@example.org-")] == ["email"]
    assert [kind for _, _, kind in personal_places("to ada@example.xn--p1ai!")] == ["email"]


@pytest.mark.parametrize(
    "around",
    ["{} 123", "{} 12/27 123", "12 {}", "2027 {} 4242", "0017 {}", "{}-9", "1.{}", "{} 1234 1234 1234 1234 1234"],
)
@pytest.mark.parametrize("card", ["4111 1111 1111 1111", "5555555555554444", "3782-822463-10005"])
def test_other_numbers_beside_a_card_do_not_hide_it(around: str, card: str) -> None:
    text = around.format(card)
    if around == "1.{}":
        text = f"No.{card}"
    assert card in {text[start:end] for start, end, kind in personal_places(text) if kind == "card"}


@pytest.mark.parametrize("around", ["is.{}", "ssn-{}", "{}-", "{}--"])
def test_a_sign_beside_a_number_does_not_hide_it(around: str) -> None:
    for kind in ("us_ssn", "pl_pesel", "cn_resident", "se_person"):
        assert kind in kinds(around.format(EXAMPLES[kind][0]))


def test_the_number_after_its_name_alone_is_a_dutch_one() -> None:
    assert "nl_bsn" in kinds("BSN: 111222333")
    assert "nl_bsn" not in kinds("BSN: 111222334")
    assert "nl_bsn" not in kinds("order 111222333")


@pytest.mark.parametrize(
    "text",
    [
        "Turn on the light in 15 minutes, at 22:30.",
        "version 1.2.3.4, build 20251128.1",
        "3.14159265358979323846",
        "1234567890123456",
        "0000000000000000",
        "11111111111",
        "user@localhost",
        "2025-11-28T12:00:00Z",
        "-122.419416, 37.774929",
        "GB82 WEST 1234 5698 7654 33",
        "XX82 WEST 1234 5698 7654 32",
        "000-12-3456, 666-12-3456, 900-12-3456",
        "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ],
)
def test_what_only_looks_alike_is_nobodys(text: str) -> None:
    assert kinds(text) == set()


def test_every_form_has_an_example() -> None:
    assert {form.kind for form in FORMS} == EXAMPLES.keys() - {"email", "phone", "card", "iban"} | {"nl_bsn"}


@settings(max_examples=60)
@given(st.text(string.digits, min_size=2, max_size=19))
def test_check_digits_see_every_digit_that_is_changed(digits: str) -> None:
    for check in (luhn, verhoeff, mod_11_10):
        fitting = next((last for last in string.digits if check(digits + last)), None)
        assert fitting is not None
        changed = str((int(digits[0]) + 1) % 10) + digits[1:] + fitting
        assert not check(changed)


@settings(max_examples=40)
@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.text(string.digits, min_size=28, max_size=28))
def test_an_account_of_any_country_is_found(country: str, digits: str) -> None:
    rest = digits[: IBAN_LENGTHS[country] - 4]
    number = next(one for check in range(2, 99) if iban(one := f"{country}{check:02}{rest}"))
    assert (4, 4 + len(number), "iban") in set(personal_places(f"to: {number}."))
    assert "iban" not in kinds(number + "7")


@pytest.mark.parametrize(
    "text", ["1 " * 20_000, "a." * 20_000 + "@", "1-" * 20_000, "+1" * 20_000, "A1 " * 10_000, ("a" * 64 + "@") * 600]
)
def test_no_text_takes_long(text: str) -> None:
    assert len(list(personal_places(text))) < len(text)
