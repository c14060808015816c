"""docs/report.schema.json: the JSON Schema of `-o json`, from the structs that are printed. Its definitions Finding,
ReportSummary and ClustersReportSummary are the lines of `-o jsonl`.

What a field means is written once, in the tables of docs/output.md under `### STRUCT`; here it becomes the field's
description. A field that is missing there, that no longer exists, or whose mark `?` (may be absent) is wrong, is an
error.
"""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec import Struct, inspect

from kubectl_memdoctor.finding import (
    API_VERSION,
    SEVERITIES,
    ClustersReport,
    ClustersReportSummary,
    Report,
    ReportSummary,
)
from kubectl_memdoctor.pod_limit import LimitSource
from kubectl_memdoctor.rules import rules

Schema = dict[str, Any]

TIME = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
}
COUNT = {"type": "integer", "minimum": 0}
RULE = {"enum": [rule.name for rule in rules()]}
SOURCES = ("pod", "event", "node", "owner", "limitRange", "lab", "runtime", "kernel", "kubelet", "cadvisor", "metrics")

DOCUMENTS = (Report, ReportSummary, ClustersReport, ClustersReportSummary)

NARROWER: dict[tuple[str, str], Schema] = {
    **{(document.__name__, "apiVersion"): {"const": API_VERSION} for document in DOCUMENTS},
    **{(document.__name__, "kind"): {"const": document.__name__} for document in DOCUMENTS},
    ("Summary", "pods"): COUNT,
    ("Summary", "nodes"): COUNT,
    ("Summary", "findings"): {
        "type": "object",
        "properties": {str(severity): COUNT for severity in SEVERITIES},
        "required": [str(severity) for severity in SEVERITIES],
        "additionalProperties": False,
    },
    ("Finding", "rule"): RULE,
    ("Memory", "limitSource"): {"enum": [str(source) for source in LimitSource]},
    ("Evidence", "source"): {"enum": [*SOURCES]},
    ("Evidence", "count"): {"type": "integer", "minimum": 1},
    ("NotChecked", "rule"): RULE,
}
"""What the types do not say of a field."""
TOGETHER: dict[str, Schema] = {"Cluster": {"oneOf": [{"required": ["server"]}, {"required": ["recording"]}]}}
"""What they do not say of fields together."""

_HEADING = re.compile(r"^### (\w+)$(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\| `(\w+)(\??)` \| (.+) \|$", re.MULTILINE)
_MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|`")


def page(output_page: str) -> str:
    """`output_page` is the text of docs/output.md. Raises ValueError where it does not fit the structs."""
    told = {name: _FIELD.findall(text) for name, text in _HEADING.findall(output_page) if _FIELD.search(text)}
    structs = {name: info for document in DOCUMENTS for name, info in _structs(document).items()}
    if told.keys() != structs.keys():
        raise ValueError(f"docs/output.md: field tables for {sorted(told.keys() ^ structs.keys())}")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"kubectl memdoctor report, {API_VERSION}",
        "oneOf": [{"$ref": "#/$defs/Report"}, {"$ref": "#/$defs/ClustersReport"}],
        "$defs": {name: _struct(info, told[name]) for name, info in structs.items()},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _structs(root: type[Struct]) -> dict[str, inspect.StructType]:
    """The struct and all that it holds, by name, in the order in which they are printed."""
    found: dict[str, inspect.StructType] = {}
    waiting: list[Any] = [inspect.type_info(root)]
    while waiting:
        info = waiting.pop(0)
        if isinstance(info, inspect.StructType):
            found.setdefault(info.cls.__name__, info)
            waiting += [field.type for field in info.fields]
        elif isinstance(info, inspect.UnionType):
            waiting += info.types
        elif isinstance(info, inspect.VarTupleType):
            waiting.append(info.item_type)
    return found


def _struct(info: inspect.StructType, told: list[tuple[str, str, str]]) -> Schema:
    name = info.cls.__name__
    # Without omit_defaults every field is printed, whether it has a default or not.
    always = [
        field.encode_name for field in info.fields if field.required or not info.cls.__struct_config__.omit_defaults
    ]
    marks = {field: mark != "?" for field, mark, _ in told}
    if marks != {field.encode_name: field.encode_name in always for field in info.fields}:
        raise ValueError(f"docs/output.md: the table of {name} does not fit its fields, or which of them may be absent")
    meaning = {field: _MARKUP.sub(r"\1", text) for field, _, text in told}
    return {
        "type": "object",
        "properties": {
            field.encode_name: {
                **(NARROWER.get((name, field.encode_name)) or _type(field.type)),
                "description": meaning[field.encode_name],
            }
            for field in info.fields
        },
        "required": always,
        "additionalProperties": False,
        **TOGETHER.get(name, {}),
    }


def _type(info: inspect.Type) -> Schema:
    match info:
        case inspect.StructType(cls=cls):
            return {"$ref": f"#/$defs/{cls.__name__}"}
        case inspect.EnumType(cls=cls):
            return {"enum": [str(member.value) for member in cls]}
        case inspect.UnionType(types=types):
            # Absent rather than null.
            (only,) = (entry for entry in types if not isinstance(entry, inspect.NoneType))
            return _type(only)
        case inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": _type(item)}
        case inspect.DictType():
            return {"type": "object"}
        case inspect.DateTimeType():
            return TIME
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.StrType():
            return {"type": "string"}
    raise ValueError(f"no schema for {info}")
