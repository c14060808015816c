"""Log lines of klog and logrus taken apart: messages, fields, Go's quotes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.log_fields import LogEntry, read_entry, unquote

FORMS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("plain words", 'CreatePodSandbox for pod "a_b(c)" failed: x', 'CreatePodSandbox for pod "a_b(c)" failed: x', {}),
    (
        "klog",
        '"It failed" err="a \\"b\\"" pod="ns/name" n=3',
        "It failed",
        {"err": 'a "b"', "pod": "ns/name", "n": "3"},
    ),
    ("no fields", '"It failed"', "It failed", {}),
    ("a dump", '"x" event=&{ID:1 Name:a b {c}} pod="d"', "x", {"event": "&{ID:1 Name:a b {c}}", "pod": "d"}),
    ("JSON as a value", '"x" event={"ID":"}","b":[1]} y=2', "x", {"event": '{"ID":"}","b":[1]}', "y": "2"}),
    (
        "logrus",
        'level=error msg="it failed" error="x=1 y" id=4',
        "it failed",
        {"level": "error", "error": "x=1 y", "id": "4"},
    ),
    ("one word", "time=now level=info msg=up", "up", {"time": "now", "level": "info"}),
    ("a terminal", 'ERRO[0012] it failed   error="a b" id=4', "it failed", {"error": "a b", "id": "4"}),
    ("JSON", '{"msg":"it failed","pod":{"name":"a"},"v":2}', "it failed", {"pod": '{"name":"a"}', "v": "2"}),
    ("cut off in a value", '"x" err="a b', "x", {"err": "a b"}),
    ("cut off in an escape", '"x" err="a \\', "x", {"err": "a "}),
    ("cut off in a dump", '"x" event=&{ID:1 Na', "x", {"event": "&{ID:1 Na"}),
    ("cut off in the message", '"It fai', "It fai", {}),
    ("no JSON", '{"msg":"x"', '{"msg":"x"', {}),
    ("nothing", "", "", {}),
)


@pytest.mark.parametrize(("text", "message", "fields"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_forms(text: str, message: str, fields: dict[str, str]) -> None:
    assert read_entry(text) == LogEntry(message, fields)


@pytest.mark.parametrize(
    ("inside", "meant"),
    [
        (r"a\nb\tc", "a\nb\tc"),
        (r"\"quoted\" \\n", '"quoted" \\n'),
        (r"\u00e4\U0001F600", "ä😀"),
        (r"\xff\377", "\ufffd\ufffd"),
        (r"\U00110000", "\ufffd"),
        ("\\", ""),
    ],
)
def test_escapes_are_undone_once(inside: str, meant: str) -> None:
    assert unquote(inside) == meant


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_quoted_text_comes_back(text: str) -> None:
    assert read_entry(f'"x" err={json.dumps(text)} pod="y"').fields == {"err": text, "pod": "y"}


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    entry = read_entry(text)
    assert isinstance(entry.message, str)
    assert all(isinstance(value, str) for value in entry.fields.values())
