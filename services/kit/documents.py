"""What requests and answers are made of: pydantic models that are closed, frozen and bounded.

A model of requests refuses unknown fields, and every text and list in it has a greatest length:
``find_unbounded`` names those that have none, and an app with such an operation does not start.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

LINE_MAX: Final = 200
PARAGRAPH_MAX: Final = 4_000

Line = Annotated[
    str, StringConstraints(min_length=1, max_length=LINE_MAX, pattern=r"^[^\x00-\x1f\x7f]+$")
]
"""A text of one line."""

Paragraph = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=PARAGRAPH_MAX, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$"
    ),
]
"""A text of several lines."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]
"""A name that machines give to things."""


class Document(BaseModel):
    """Base of what services read and answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def find_unbounded(model: type[BaseModel]) -> list[str]:
    """Name the texts and lists of ``model`` that may be of any length."""
    schema = TypeAdapter(model).json_schema()
    parts = {"": schema, **{f"{name}.": part for name, part in schema.get("$defs", {}).items()}}
    return sorted(
        {
            f"{prefix}{name}"
            for prefix, part in parts.items()
            for name, form in part.get("properties", {}).items()
            if any(not _is_bounded(each) for each in _forms(form))
        }
    )


def property_names(model: type[BaseModel]) -> frozenset[str]:
    """Return every field name that occurs in ``model`` and what it holds."""
    schema = TypeAdapter(model).json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return frozenset(name for part in parts for name in part.get("properties", {}))


def _forms(form: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a property's schema, its alternatives, and what its lists hold."""
    yield form
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for each in form.get(key, ()):
            yield from _forms(each)
    for key in ("items", "additionalProperties"):
        if isinstance(form.get(key), dict):
            yield from _forms(form[key])


def _is_bounded(form: dict[str, Any]) -> bool:
    match form.get("type"):
        case "string":
            fixed = ("enum", "const", "format")
            is_whole = str(form.get("pattern", "")).startswith("^")
            ends = form.get("pattern", "").endswith(("}$", "]$"))
            return "maxLength" in form or any(key in form for key in fixed) or (is_whole and ends)
        case "array":
            return "maxItems" in form
        case "object" if isinstance(form.get("additionalProperties"), dict):
            return "maxProperties" in form
        case _:
            return True
