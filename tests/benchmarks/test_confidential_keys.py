from benchmarks.confidential_keys import key_release_ms, seal_bytes_per_second


def test_the_exchange_is_measured_whole_and_by_its_steps() -> None:
    found = key_release_ms(runs=1, suite="x25519")
    assert set(found["steps_ms"]) == {"release_key", "attest", "capability", "release", "open"}
    assert sum(found["steps_ms"].values()) <= found["key_release_ms"] * 1.05
    assert found["suite"] == "x25519"


def test_sealing_opening_and_copying_are_measured_on_the_same_weights() -> None:
    found = seal_bytes_per_second(megabytes=4, runs=1)
    assert found["weights_bytes"] > 4 * 1024 * 1024
    assert min(found[f"{name}_bytes_per_second"] for name in ("seal", "open", "copy")) > 1e6
