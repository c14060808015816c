"""Taking JSON apart gives what a JSON parser gives, however it is written and wherever a piece ends."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.cluster.recording.forms import Run
from kubectl_memdoctor.cluster.recording.json_items import LOG_ENDS, LOG_STARTS, Document, JsonReader
from kubectl_memdoctor.cluster.source import AccessError

BORDERS = [
    "},{",
    '}, {"kind":',
    '\n        },\n        {\n            "kind": "Pod"',
    '\\"},{\\"',
    "]}",
    '"',
    "\\",
    "é",
    "\u2028",
]
# Beyond this, half of an escaped pair may be left over, on which parsers differ.
CHARACTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=8) | st.sampled_from(BORDERS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FEWER = settings(max_examples=25, deadline=None)
OBJECTS = st.dictionaries(st.sampled_from(["kind", "metadata", "spec"]) | TEXTS, VALUES, max_size=4)


class TextInMemory:
    name = "memory"
    in_folder = False

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_at(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]

    def release(self) -> None:
        pass


def read_anything(array: bytes | memoryview, list_kind: str, list_api_version: str) -> list[Run]:
    return [Run(None, "Anything", 0, len(array) - 2, msgspec.json.decode(array))]


def documents(content: bytes, piece_bytes: int) -> list[tuple[Document, list[Any]]]:
    """Each document with its objects, after holding them against the places where they are said to lie."""
    text = TextInMemory(content)
    found: list[tuple[Document, list[Any]]] = []
    objects: list[Any] = []
    for piece in JsonReader(text, read_anything, piece_bytes).pieces():
        for run in piece.runs:
            place = content[piece.start + run.start : piece.start + run.end]
            assert msgspec.json.decode(b"[%b]" % place) == run.objects
            objects += run.objects
        if piece.document.closed:
            found.append((piece.document, objects))
            objects = []
    return found


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A value as some program writes it: indented or not, spaced or not, escaped or not."""
    indent = draw(st.sampled_from([None, 0, 1, 4, "\t"]))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", " :\t")]))
    return json.dumps(value, indent=indent, separators=separators, ensure_ascii=draw(st.booleans()))


@st.composite
def lists(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    items = draw(st.lists(OBJECTS, max_size=8))
    members = [("kind", "PodList"), ("apiVersion", "v1"), ("metadata", draw(OBJECTS)), ("items", items)]
    whole = dict(draw(st.permutations(members)))
    return whole, draw(written(whole))


@settings(deadline=None)
@given(lists(), st.integers(1, 200))
@example(({"items": [{"a": "😀"}, {"a": "😀"}]}, '{"items":[{"a":"😀"},{"a":"\\ud83d\\ude00"}]}'), 12)
@example(({"items": [{"a": "},{"}, {"a": "},{"}]}, '{"items":[{"a":"},{"},{"a":"},{"}]}'), 20)
def test_a_list_has_the_items_that_a_parser_finds(whole: tuple[dict[str, Any], str], piece_bytes: int) -> None:
    value, text = whole
    [(document, objects)] = documents(text.encode(), piece_bytes)
    assert objects == value["items"]
    assert document.is_list
    assert document.kind == value.get("kind", "")
    assert document.api_version == value.get("apiVersion", "")


@FEWER
@given(st.lists(lists(), max_size=3), st.sampled_from(["", " ", "\n", "\n---\n"]), st.integers(1, 200))
def test_documents_may_stand_one_after_the_other(
    wholes: list[tuple[dict[str, Any], str]], between: str, piece_bytes: int
) -> None:
    content = between.join(text for _, text in wholes).encode()
    assert [objects for _, objects in documents(content, piece_bytes)] == [value["items"] for value, _ in wholes]


@FEWER
@given(
    st.lists(OBJECTS, max_size=8).flatmap(lambda value: st.tuples(st.just(value), written(value))), st.integers(1, 99)
)
def test_an_array_is_a_list_without_a_kind(whole: tuple[list[Any], str], piece_bytes: int) -> None:
    value, text = whole
    [(document, objects)] = documents(text.encode(), piece_bytes)
    assert (objects, document.is_list, document.kind) == (value, True, "")


@FEWER
@given(OBJECTS.filter(lambda value: "items" not in value), st.data(), st.integers(1, 99))
def test_one_object_is_itself(value: dict[str, Any], data: st.DataObject, piece_bytes: int) -> None:
    [(document, objects)] = documents(data.draw(written(value)).encode(), piece_bytes)
    assert objects == [value]
    assert not document.is_list


@FEWER
@given(lists(), st.integers(1, 200), st.data())
def test_what_is_cut_off_is_never_taken_for_whole(
    whole: tuple[dict[str, Any], str], piece_bytes: int, data: st.DataObject
) -> None:
    content = whole[1].encode()
    cut = data.draw(st.integers(1, len(content) - 1))
    with pytest.raises(AccessError, match=r"^error: memory: (ends too early, in )?line \d+: .*save it again$"):
        documents(content[:cut], piece_bytes)


def parsed(text: str) -> Iterator[Any]:
    """The documents by Python's own parser. Raises ValueError for what is not JSON."""
    decoder = json.JSONDecoder(parse_constant=lambda word: json.loads(f"not JSON: {word}"))
    at = len(text) - len(text.lstrip(" \t\r\n"))
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        if not isinstance(value, list | dict):
            raise ValueError("not a document")
        yield value
        at = len(text) - len(text[at:].lstrip(" \t\r\n"))


@FEWER
@given(lists(), st.integers(1, 200), st.data())
def test_what_no_parser_takes_is_refused(
    whole: tuple[dict[str, Any], str], piece_bytes: int, data: st.DataObject
) -> None:
    text = list(whole[1])
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from('{}[],:"\\ \n\0x0'))
    content = "".join(text)
    try:
        values = list(parsed(content))
    except ValueError:
        with pytest.raises(AccessError):
            documents(content.encode(), piece_bytes)
        return
    if all(isinstance(value, dict) and value.get("kind", "List").endswith("List") for value in values):
        found = [objects for _, objects in documents(content.encode(), piece_bytes)]
        assert found == [value.get("items", [value]) for value in values]


def test_whole_pieces_are_read_at_once() -> None:
    items = [{"kind": "Pod", "metadata": {"name": f"pod-{number}"}} for number in range(10_000)]
    for text in (json.dumps({"items": items}), json.dumps({"items": items}, indent=4)):
        reader = JsonReader(TextInMemory(text.encode()), read_anything)
        sizes = [len(run.objects) for piece in reader.pieces() for run in piece.runs]
        assert sum(sizes) == len(items)
        assert len(sizes) < 10


def test_a_false_border_in_every_object_costs_speed_only() -> None:
    inner = [{"kind": "a"}, {"kind": "b"}]
    items = [{"kind": "StatefulSet", "templates": inner, "number": number} for number in range(500)]
    [(_, objects)] = documents(json.dumps({"items": items}).encode(), 1000)
    assert objects == items


@pytest.mark.parametrize("last_line", [b"the end\n", b"no newline at the end"])
def test_logs_between_the_lists_of_a_cluster_info_dump_are_passed_over(last_line: bytes) -> None:
    log = b'container app of pod shop/web ====\n{"items": [{"not": "an object"}\n==== another line ====\n' + last_line
    lists_ = [{"kind": "PodList", "items": [{"number": number}]} for number in range(2)]
    content = b"\n".join(
        [json.dumps(lists_[0]).encode(), LOG_STARTS + log + LOG_ENDS + b"x ====", json.dumps(lists_[1]).encode()]
    )
    for piece_bytes in (1, 7, 1000):
        assert [objects for _, objects in documents(content, piece_bytes)] == [value["items"] for value in lists_]


def test_an_error_names_the_line() -> None:
    items = [{"name": f"pod-{number}", "text": "x" * 50} for number in range(200)]
    lines = json.dumps({"items": items}, indent=1).split("\n")
    random.seed(3)
    for where in random.sample(range(10, len(lines) - 10), 5):
        if lines[where].strip() in ("{", "},"):
            continue
        wrong = [*lines[:where], "?" + lines[where], *lines[where + 1 :]]
        with pytest.raises(AccessError) as raised:
            documents("\n".join(wrong).encode(), 1000)
        named = int(str(raised.value).split("line ")[1].split(":")[0])
        assert 0 <= where + 1 - named <= 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"items": [{"a": 1} {"a": 2}]}', "line 1: what begins here is not valid JSON"),
        ('{"items": [{"a": 1},]}', "line 1: what begins here is not valid JSON"),
        ('{"items": [], "kind"}', "line 1: what begins here is not valid JSON"),
        ('{"items": [],}', "line 1: what begins here is not valid JSON"),
        ('{"items": []}\n}', "line 2: what begins here is not valid JSON"),
        ('{"items": []}\n$ exit', "line 2: what begins here is not valid JSON"),
        ("{", "ends too early, in line 1"),
        ('{"kind":', "ends too early, in line 1"),
        ("[", "ends too early, in line 1"),
        ('[{"a": "\\', "ends too early, in line 1"),
        ('[{"a": 01}]', "line 1: what begins here is not valid JSON"),
        ('[{"a": "' + "\t" + '"}]', "line 1: what begins here is not valid JSON"),
        ("[" + '{"a":' * 5000 + "1" + "}" * 5000 + "]", "line 1: what begins here is not valid JSON"),
    ],
)
def test_broken_json(content: str, says: str) -> None:
    for piece_bytes in (1, 10, 1000):
        with pytest.raises(AccessError, match="^error: memory: " + says):
            documents(content.encode(), piece_bytes)


def test_one_object_without_an_end_is_not_read_into_memory() -> None:
    class Endless(TextInMemory):
        def read_at(self, offset: int, length: int) -> bytes:
            return (b'{"kind": "Pod", "text": "' + b"x" * length)[:length] if offset == 0 else b"x" * length

    with pytest.raises(AccessError, match="line 1: more than 32 MiB in one piece"):
        list(JsonReader(Endless(b""), read_anything).pieces())
