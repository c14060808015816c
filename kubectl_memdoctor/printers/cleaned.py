"""Everything that a printer prints, cleaned at once."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct, structs

from kubectl_memdoctor.clean import clean

Value = TypeVar("Value")


def cleaned(value: Value) -> Value:
    """A struct, tuple, list or dict whose every text is clean."""
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value) if type(value) is str else value
    if isinstance(value, tuple | list):
        return type(value)(map(_cleaned, value))
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(entry) for key, entry in value.items()}
    if isinstance(value, Struct):
        return structs.replace(value, **{name: _cleaned(getattr(value, name)) for name in value.__struct_fields__})
    return value
