"""What masking adds to an update's bytes, measured on the product's own protocol."""

from evaluation.comparison.masking import masked_bytes


def test_each_value_more_is_four_bytes_more_and_the_rest_does_not_depend_on_them() -> None:
    assert masked_bytes(5000) - masked_bytes(1000) == 4 * 4000


def test_keys_shares_and_signatures_come_on_top_of_the_values() -> None:
    assert 4 * 1000 + 500 < masked_bytes(1000) < 4 * 1000 + 50_000
