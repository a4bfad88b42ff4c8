"""The examples that the API shows fit their contracts, and what may not be left out is in each."""

from typing import Any

import pytest
from pydantic import BaseModel

from tests.controlplane.contracts.samples import ANSWERS, FORMS


@pytest.mark.parametrize(("model", "sample"), [*ANSWERS, *FORMS], ids=lambda part: getattr(part, "__name__", ""))
def test_an_example_fits_and_reads_back(model: type[BaseModel], sample: dict[str, Any]) -> None:
    found = model.model_validate(sample)
    assert found.model_dump(mode="json", exclude_unset=True) == sample
