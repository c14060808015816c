"""Everything that a printer prints, cleaned at once."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from msgspec import Struct, structs

from kubectl_memdoctor.clean import clean

Value = TypeVar("Value")


def cleaned(value: Value) -> Value:
    """A struct, data class, tuple, list or dict whose every text is clean."""
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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {entry.name: _cleaned(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
