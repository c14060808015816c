"""A list of which only the names travel: a Table as kubectl prints it, without the objects behind its rows.

https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from kubectl_memdoctor.objects import ListMeta

ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io"
WITHOUT_OBJECTS = {"includeObject": "None"}
"""https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/apis/meta/v1/types.go, IncludeObjectPolicy"""
KIND = "Table"


class _Column(Struct, frozen=True):
    format: str = ""


class _Row(Struct, frozen=True):
    cells: tuple[Any, ...] = ()


class _Table(Struct, frozen=True, rename="camel"):
    kind: str = ""
    metadata: ListMeta = ListMeta()
    column_definitions: tuple[_Column, ...] = ()
    rows: tuple[_Row, ...] = ()


def read_names(body: bytes) -> tuple[tuple[str, ...], str]:
    """The names of one page, and the token of the next one, empty at the end. Raises msgspec.DecodeError."""
    table = msgspec.json.decode(body, type=_Table)
    formats = [column.format for column in table.column_definitions]
    if table.kind != KIND or "name" not in formats:
        raise msgspec.DecodeError("not a Table with names")
    place = formats.index("name")
    cells = (row.cells[place] for row in table.rows if len(row.cells) > place)
    return tuple(cell for cell in cells if isinstance(cell, str)), table.metadata.continue_
