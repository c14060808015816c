"""Protobuf gives the same structs as JSON, and whatever is wrong with it costs an answer in JSON, not a list."""

from __future__ import annotations

import string
import types
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from kubectl_memdoctor.cluster import protobuf
from kubectl_memdoctor.cluster.listing import PROTOBUF
from kubectl_memdoctor.cluster.protobuf_fields import FIELDS, LISTED
from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.cluster.source import AccessError, NotRecorded
from kubectl_memdoctor.objects import PODS, Node, ObjectMeta, Pod, Resource, Status, decode, decode_list
from kubectl_memdoctor.survey import Survey

from .faulty_server import HANG_UP, Reply, pod_list, status
from .protobuf_bodies import CONTENT_TYPE, enveloped, field, list_body, list_reply, message
from .test_faults import EXPIRED, session

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**31), 2**31 - 1)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
CASES = Path(__file__).parent.parent / "cases"
SMALL = 32 << 20
EXAMPLES = settings(max_examples=40, deadline=None)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything of a field's type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.none() | values(next(arg for arg in inner if arg is not type(None)))
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, TEXTS, max_size=2)
    scalar = {str: TEXTS, int: NUMBERS, bool: st.booleans(), datetime: TIMES}.get(hint)
    return structs(hint) if scalar is None else scalar


def structs(type_: type[Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(type_)
    return st.deferred(lambda: st.builds(type_, **{name: values(hints[name]) for name in FIELDS[type_]}))


@pytest.mark.parametrize("resource", sorted(LISTED, key=str), ids=lambda resource: str(resource.kind))
def test_any_object_is_the_same_in_protobuf_as_in_json(resource: Resource[Any]) -> None:
    @EXAMPLES
    @given(items=st.lists(structs(resource.type), max_size=2).map(tuple), remaining=st.none() | st.integers(0, 9))
    def holds(items: tuple[Any, ...], remaining: int | None) -> None:
        meta = {"continue": "t", "remainingItemCount": remaining}
        in_json = decode_list(msgspec.json.encode({"metadata": meta, "items": items}), resource.type)
        body = protobuf.open_list(list_body(resource.kind, items, "t", remaining), resource)
        assert (body.meta, body.items()) == in_json == (body.meta, items)

    holds()


def counted(survey: Survey, pod: Pod) -> tuple[Any, ...]:
    shown = survey.shows(pod)
    seen = survey.pods, survey.windows_pods, survey.nodes, survey.namespaces, survey.requested
    return shown, seen, survey.siblings(pod)


@pytest.mark.parametrize("path", sorted(CASES.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_a_survey_counts_a_glance_for_what_the_whole_pod_is(path: Path) -> None:
    try:
        pods = [pod for page in open_recording([str(path)], None).list(PODS) for pod in page.items]
    except NotRecorded:
        pods = []
    items = protobuf.open_list(list_body("Pod", pods), PODS).one_by_one()
    assert [*items] == pods
    assert len(items) == len(items.glances())
    assert Survey(SMALL).takes_glances
    for pod, glance in zip(items, items.glances(), strict=True):
        assert counted(Survey(SMALL), glance) == counted(Survey(SMALL), pod)


def test_every_field_that_is_read_has_a_number() -> None:
    missing = {
        (struct.__name__, entry.name)
        for struct, numbers in FIELDS.items()
        for entry in msgspec.structs.fields(struct)
        if entry.name not in numbers
    }
    # It stands in the envelope.
    assert missing == {("Status", "kind")}


def test_a_status_is_read() -> None:
    told = {
        "message": "gone",
        "reason": "Expired",
        "code": 410,
        "metadata": {"continue": "t"},
        "details": {"name": "x"},
    }
    known = decode(msgspec.json.encode(told), Status)
    assert protobuf.open_struct(enveloped("Status", message(known)), "Status", Status) == known


BODY = list_body("Pod", [Pod(ObjectMeta("a", "default"))])


@given(cut=st.integers(4, len(BODY) - 3))
def test_a_cut_body_is_known_for_one(cut: int) -> None:
    """The envelope's last field is empty and says nothing: two bytes."""
    assert not protobuf.is_cut(BODY)
    assert protobuf.is_cut(BODY[:cut])


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=60) | st.tuples(st.integers(0, len(BODY) - 1), st.integers(0, 255)).map(
    lambda change: BODY[4 : change[0]] + bytes([change[1]]) + BODY[change[0] + 1 :]
))  # fmt: skip
def test_any_bytes_are_pods_or_undecodable(body: bytes) -> None:
    try:
        found = protobuf.open_list(protobuf.MAGIC + body, PODS).items()
    except protobuf.DecodeError:
        return
    assert all(isinstance(pod, Pod) for pod in found)


def pods(*names: str) -> list[Pod]:
    return [Pod(ObjectMeta(name, "default", f"uid-{name}")) for name in names]


def protobuf_list(*names: str, token: str = "", remaining: int | None = None) -> Reply:
    return list_reply("Pod", pods(*names), token, remaining)


def test_a_long_list_is_protobuf_from_its_second_page_on() -> None:
    replies = (pod_list("a", token="1"), protobuf_list("b", "c", token="2", remaining=1), protobuf_list("d"))
    with session(*replies) as to:
        pages = list(to.api.list(PODS, "default"))
        assert [[pod.metadata.name for pod in page.items] for page in pages] == [["a"], ["b", "c"], ["d"]]
        assert [page.remaining for page in pages] == [None, 1, None]
        assert [asked.headers["Accept"] for asked in to.asked] == ["application/json", PROTOBUF, PROTOBUF]


def test_a_server_that_answers_in_json_all_the_same_is_understood() -> None:
    with session(pod_list("a", token="1"), pod_list("b", token="2"), protobuf_list("c")) as to:
        assert to.names() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "bad",
    [
        status(406, "NotAcceptable", "only JSON"),
        status(415, "UnsupportedMediaType", "only JSON"),
        Reply(list_body("Node", [Node()]), headers=CONTENT_TYPE),
        Reply(enveloped("PodList", field(2, b"\xff\xff")), headers=CONTENT_TYPE),
        Reply(enveloped("PodList", field(2, field(1, field(1, b"\xff\xfe not UTF-8")))), headers=CONTENT_TYPE),
        Reply(enveloped("PodList", b"\x08\x01"), headers=CONTENT_TYPE),
    ],
    ids=["406", "415", "of another kind", "garbled", "not UTF-8", "without metadata"],
)
def test_what_is_no_good_in_protobuf_is_asked_for_in_json(bad: Reply) -> None:
    with session(pod_list("a", token="1"), bad, pod_list("b", token="2"), pod_list("c")) as to:
        assert to.names() == ["a", "b", "c"]
        asked = [(asked.query.get("continue"), asked.headers["Accept"]) for asked in to.asked]
        in_json = "application/json"
        assert asked == [(None, in_json), ("1", PROTOBUF), ("1", in_json), ("2", in_json)]


def test_a_server_that_sends_nothing_but_bad_protobuf_is_named() -> None:
    bad = Reply(enveloped("NodeList", b""), headers=CONTENT_TYPE)
    with session(pod_list("a", token="1"), bad) as to, pytest.raises(AccessError, match="did not answer with"):
        to.names()


def test_a_cut_page_is_asked_for_again_as_it_was() -> None:
    cut = replace(protobuf_list("b"), cut=40, framing="close")
    with session(pod_list("a", token="1"), cut, HANG_UP, protobuf_list("b")) as to:
        assert to.names() == ["a", "b"]
        assert [asked.headers["Accept"] for asked in to.asked[1:]] == [PROTOBUF] * 3


def test_an_expired_token_is_read_in_protobuf_too() -> None:
    said = decode(msgspec.json.encode({"message": EXPIRED, "metadata": {"continue": "now"}}), Status)
    gone = Reply(enveloped("Status", message(said)), 410, CONTENT_TYPE)
    with session(pod_list("a", token="old"), gone, protobuf_list("b")) as to:
        assert to.names() == ["a", "b"]
        assert [asked.query.get("continue") for asked in to.asked] == [None, "old", "now"]


def test_a_refusal_is_told_in_the_servers_words() -> None:
    said = decode(msgspec.json.encode({"message": "pods is forbidden", "reason": "Forbidden"}), Status)
    with session(pod_list("a", token="1"), Reply(enveloped("Status", message(said)), 403, CONTENT_TYPE)) as to:
        assert to.error() == "Error from server (Forbidden): pods is forbidden"


def test_one_page_is_on_its_way_while_one_is_looked_at_and_never_two() -> None:
    names = string.ascii_lowercase[:6]
    replies = [protobuf_list(name, token=name if name != names[-1] else "") for name in names]
    with session(pod_list("0", token="0"), *replies) as to:
        pages = to.api.list(PODS, "default")
        for seen, _ in enumerate(pages, 1):
            assert len(to.asked) <= seen + 1
        assert len(to.asked) == len(names) + 1
