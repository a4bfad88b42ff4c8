"""What policy says of the decision log: what is kept out of it, and for how long the rest is kept."""

from typing import Annotated

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Label, StrictModel

MAX_MASKED = 256

MaskedName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""The name of a property that a caller may add, or how such names end; letters and digits of any case count alone."""

MaskedPointer = Annotated[str, StringConstraints(max_length=512, pattern=r"^(/([^~/]|~[01])+){2,12}$")]
"""A JSON pointer (RFC 6901) into the facts, of two steps at least; a step ``*`` is any one."""


class LogQuery(StrictModel):
    """Input of ``data.ztfm.log``: for which packages of decisions the terms are wanted."""

    packages: Annotated[list[Label], Field(min_length=1, max_length=64)]


class LogTerms(StrictModel):
    """How the decisions of one package are kept.

    Attributes:
        names: of what callers add, wherever they add it; the values are kept out.
        pointers: into the facts; what stands there is kept out, whoever said it.
        retention_days: how long a record is kept, a day at least, so that no policy hides what was done under it; none
            for as long as the control plane is set to.
    """

    names: Annotated[list[MaskedName], Field(max_length=MAX_MASKED)]
    pointers: Annotated[list[MaskedPointer], Field(max_length=MAX_MASKED)]
    retention_days: Annotated[float, Field(ge=1.0, le=36_500.0)] | None = None
