"""No rule calls what reaches outside, however it spells the name, and whoever signed it."""

import pytest

from controlplane.bundles import BundleRefused, BundleSigner, Trust, verify
from controlplane.bundles.archive import write_tar
from controlplane.bundles.layout import SOURCE
from controlplane.bundles.reach import require_confined
from controlplane.contracts.builtins import FORBIDDEN
from controlplane.contracts.policies import LAYERS, PolicyLayer
from tests.controlplane.bundles.samples import REVISION, files


def rules(text: str) -> dict[str, bytes]:
    return {"ztfm/batch/batch.rego": f"package ztfm.batch\n\n{text}\n".encode()}


@pytest.mark.parametrize("builtin", sorted(FORBIDDEN))
@pytest.mark.parametrize("form", ["x := {}(1)", "f(x) with f as {}", "# it\nx := [1 | {} (1)]"])
def test_a_call_of_what_is_forbidden_is_found(builtin: str, form: str) -> None:
    with pytest.raises(BundleRefused, match=builtin) as caught:
        require_confined(rules(form.format(builtin)))
    assert caught.value.reason == "does_not_compile"


@pytest.mark.parametrize(
    "text",
    [
        'x := http["send"]({})',
        'x := http["se\\u006ed"]({})',
        "x := http[`send`]({})",
        'x := http[# aside\n"send"]({})',
        "x := (http).send({})",
        "x := ((http)).send({})",
        'x := (http)["send"]({})',
        'x := io.jwt["decode_verify"](1)',
        "x := (io.jwt).decode_verify(1, 2)",
        'x := io["jwt"].decode_verify(1, 2)',
        'x := $"{http.send({})}"',
        "x := $`{http.send({})}`",
        'x := "\\""; y := http.send({})',
        'x := "\\\\"; y := http.send({})',
        'x := `"`; y := http.send({}); z := `"`',
        '# "\nx := http.send({}) # "',
        "x := 1 #\r\ny := http.send({})",
    ],
)
def test_other_spellings_are_found(text: str) -> None:
    with pytest.raises(BundleRefused):
        require_confined(rules(text))


@pytest.mark.parametrize(
    "text",
    [
        "# http.send asks the network",
        'x := "http.send"',
        "x := `opa.runtime`",
        "x := input.http.send",
        "x := time.clock(input.context.time)",
        "x := opa_runtime",
        "x := net.cidr_contains(a, b)",
        'x := input.time["now_ns"]',
        "x := time[0]",
    ],
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    require_confined(rules(text))


def test_it_is_told_where_and_what_to_do() -> None:
    with pytest.raises(
        BundleRefused, match=r"^does_not_compile: ztfm/batch/batch\.rego:6: The builtin http\.send asks"
    ):
        require_confined(rules('x := `\na"\n`\ny := http.send({})'))
    with pytest.raises(BundleRefused, match=r"batch\.rego:3: What http\[\.\.\.\] names"):
        require_confined(rules('y := http["send"]({})'))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_true_signature_does_not_make_up_for_it(layer: PolicyLayer) -> None:
    signer = BundleSigner.generate()
    root = "ztfm" if layer == "base" else layer
    sly = f"package {root}.sly\n\nleak := opa.runtime().env\n".encode()
    body = signer.sign({**files(layer), f"{root}/sly/sly.rego": sly}, layer, REVISION)
    with pytest.raises(BundleRefused, match=r"opa\.runtime") as caught:
        verify(body, Trust.of_key(signer.public_key), layer)
    assert caught.value.reason == "does_not_compile"


@pytest.mark.parametrize("name", ["ztfm/sly/sly.rego", "ztfm/sly/sly_test.rego"])
def test_nor_for_the_source_that_a_bundle_brings(name: str) -> None:
    signer = BundleSigner.generate()
    source = write_tar({name: b"package ztfm.sly\n\nleak := opa.runtime().env\n"})
    found = verify(signer.sign({**files(), SOURCE: source}, "base", REVISION), Trust.of_key(signer.public_key), "base")
    with pytest.raises(BundleRefused, match=r"opa\.runtime"):
        found.source()
