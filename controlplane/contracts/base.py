"""The strict base of every wire model, and the bounded scalar types that all of them share."""

import re
from functools import cache
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_CUSTOM_PROPERTIES = 32
MAX_CUSTOM_NAME = 64


class StrictModel(BaseModel):
    """A frozen model that coerces nothing, ignores nothing and holds no NaN or infinity.

    Zero trust begins at the parser: a string is never read as a number, and a field that nobody
    declared is an error (NIST SP 800-207, tenet 6: authentication and authorisation are strictly enforced).
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def of_trusted(cls, **fields: Any) -> Self:
        """Return an instance whose parts were validated before, or are ours; nothing is looked at.

        For the path of every decision alone, where `model_construct` costs more than validating would. Fields that
        are left out get their defaults.

        Args:
            fields: every field without a default, by name.

        Raises:
            TypeError: one is left out, or there is no such field.
        """
        names, defaults, is_open = _known(cls)
        parts = {**defaults, **fields}
        if parts.keys() != names:
            raise TypeError(f"{cls.__name__} has other fields: {sorted(parts.keys() ^ names)}")
        made = _new(cls)
        # As pydantic's own `model_construct` fills an instance, without its loop over aliases and factories.
        _set(made, "__dict__", parts)
        _set(made, "__pydantic_fields_set__", set(fields))
        _set(made, "__pydantic_extra__", {} if is_open else None)
        _set(made, "__pydantic_private__", None)
        return made


_new, _set = object.__new__, object.__setattr__


@cache
def _known(model: type[BaseModel]) -> tuple[frozenset[str], dict[str, Any], bool]:
    """The names of a model's fields, the defaults of those that have one, and whether others may be added."""
    fields = model.model_fields
    defaults = {
        name: field.default
        for name, field in fields.items()
        if not field.is_required() and field.default_factory is None
    }
    return frozenset(fields), defaults, model.model_config.get("extra") == "allow"


class LenientModel(StrictModel):
    """A strict model of a standard's wire form: what it declares keeps its type, what it does not know it ignores.

    AuthZEN 1.0 (section 10.1.1) and OAuth 2.0 (RFC 6749 section 3.2) ask for that, so that a caller may speak a later
    version.
    """

    model_config = ConfigDict(extra="ignore")


_IDENTIFIER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$")

Identifier = Annotated[str, StringConstraints(pattern=_IDENTIFIER.pattern)]
"""A name of something: 1 to 128 characters of a set that is safe in URLs, logs and SQL."""

Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_:.-]{0,63}$")]
"""A word of a closed vocabulary, such as a role, a segment or a reason code."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""What others call something: any 1 to 128 characters but control characters."""

ResourceName = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A `Name` of a resource: room for a path or a URL."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A SHA-256 content digest in the form that OCI and Sigstore use."""

Thumbprint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""A JWK SHA-256 thumbprint (RFC 7638), base64url without padding."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number in [0, 1]."""

Magnitude = Annotated[float, Field(ge=0.0, le=1e12)]
"""A bounded, non-negative size, such as a norm."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""A bounded, non-negative number of things."""

Timestamp = Annotated[float, Field(ge=0.0, le=253_402_300_799.0)]
"""Unix time in seconds, up to the year 9999."""

Text = Annotated[str, StringConstraints(max_length=512)]
"""A short human sentence."""

Why = Annotated[str, StringConstraints(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")]
"""A sentence for those who ask later: no control characters, and not blank."""

Token = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
"""A serialised JWT or an opaque secret. Never log one."""

CustomValue = (
    bool
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
    | Annotated[float, Field(ge=-1e12, le=1e12)]
    | Annotated[str, StringConstraints(max_length=256)]
    | Annotated[list[Annotated[str, StringConstraints(max_length=256)]], Field(max_length=32)]
    | None
)
"""What a caller may add under a name of their own: a scalar, or a short list of strings."""


def is_identifier(text: str) -> bool:
    """Whether ``text`` can be an `Identifier`; whatever cannot is the name of nothing."""
    return _IDENTIFIER.fullmatch(text) is not None
