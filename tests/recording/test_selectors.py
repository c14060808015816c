"""Selectors mean what they mean to the API server."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from go_program import run_go

from kubectl_memdoctor.cluster.recording import Recording, open_recording
from kubectl_memdoctor.cluster.recording.label_selector import SelectorError, parse_labels
from kubectl_memdoctor.cluster.recording.selectors import selector
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import EVENTS, NODES, PODS, Event, EventSource, ObjectMeta, ObjectReference

SEED = 20261125
SELECTORS = 20_000
KEYS = [
    "app",
    "tier",
    "in",
    "notin",
    "app.kubernetes.io/name",
    "a/b/c",
    "-x",
    "x-",
    "/x",
    "x/",
    "A_b.c",
    "n",
    "é",
    "x" * 64,
]
VALUES = ["web", "db", "", "5", "-3", "+7", "in", "9" * 20, "a b", "a=b", "x" * 63, "x" * 64, "_", "a.b"]
PARTS = [
    " in ",
    " notin ",
    "=",
    "==",
    "!=",
    "!",
    ",",
    "(",
    ")",
    "<",
    ">",
    " ",
    "\t",
    "===",
    "=!",
    "!!",
    "()",
    "(,)",
]
FIELD_PARTS = ["=", "==", "!=", "!", ",", "\\", "\\,", "\\=", "\\\\", "\\x", " ", ",,"]
FIELD_NAMES = ["metadata.name", "metadata.namespace"]


def label_selector_text(chance: random.Random) -> str:
    def part() -> str:
        key, value = chance.choice(KEYS), chance.choice(VALUES)
        others = ",".join(chance.choices(VALUES, k=chance.randrange(4)))
        shapes = [key, "!" + key, f"{key}={value}", f"{key} == {value}", f"{key}!={value}", f"{key}>{value}"]
        return chance.choice([*shapes, f"{key} in ({others})", f"{key} notin ( {others} )", f"{key}<{value}"])

    if chance.random() < 0.3:
        return "".join(chance.choice([*PARTS, *KEYS, *VALUES]) for _ in range(chance.randrange(9)))
    return ",".join(part() for _ in range(chance.randrange(4)))


def field_selector_text(chance: random.Random) -> str:
    def term() -> str:
        value = chance.choice(VALUES).replace("=", chance.choice(["=", "\\=", ""]))
        return chance.choice(FIELD_NAMES) + chance.choice(["=", "==", "!="]) + value

    if chance.random() < 0.3:
        return "".join(chance.choice([*FIELD_PARTS, *FIELD_NAMES, *VALUES]) for _ in range(chance.randrange(7)))
    return ",".join(term() for _ in range(chance.randrange(4)))


def own_answer(text: str, has: dict[str, str]) -> str:
    try:
        return str(all(requirement.matches(has) for requirement in parse_labels(text))).lower()
    except SelectorError:
        return "error"


def own_field_answer(text: str, has: dict[str, str]) -> str:
    metadata = ObjectMeta(name=has.get("metadata.name", ""), namespace=has.get("metadata.namespace", ""))
    try:
        return str(selector(EVENTS, None, "", text).matches(Event(metadata=metadata))).lower()
    except AccessError as error:
        return "unknown field" if "field label not supported" in str(error) else "error"


def test_selectors_mean_what_they_mean_to_kubernetes() -> None:
    chance = random.Random(SEED)
    asked: list[dict[str, Any]] = []
    for _ in range(SELECTORS):
        keys = [*KEYS, *FIELD_NAMES]
        has = {chance.choice(keys): chance.choice(VALUES) for _ in range(chance.randrange(6))}
        asked.append({"Labels": label_selector_text(chance), "Fields": field_selector_text(chance), "Has": has})
    answers = run_go("selector", "".join(json.dumps(question) + "\n" for question in asked))
    seen: dict[str, int] = {}
    for question, answer in zip(asked, answers, strict=True):
        by_labels, by_fields = answer.split()
        assert own_answer(question["Labels"], question["Has"]) == by_labels, question
        own = own_field_answer(question["Fields"], question["Has"])
        assert own in (by_fields, "unknown field"), question
        for kind in ("labels " + by_labels, "fields " + own):
            seen[kind] = seen.get(kind, 0) + 1
    assert all(seen[f"{what} {answer}"] > 500 for what in ("labels", "fields") for answer in ("true", "false", "error"))


def pod(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **more}


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    objects = [
        pod("web-0", labels={"app": "web", "tier": "front"}, spec={"nodeName": "n1", "restartPolicy": "Always"}),
        pod("web-1", labels={"app": "web"}, spec={"nodeName": "n2", "hostNetwork": True}, status={"phase": "Failed"}),
        pod("db-0", labels={"app": "db"}, spec={"schedulerName": "mine", "serviceAccountName": "db"}),
        pod("web-0", "billing", status={"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "podIP": "10.0.0.1"}),
        pod("odd", "billing", spec={"containers": None, "nodeName": 7}, status={"nominatedNodeName": "n1"}),
    ]
    path = tmp_path / "pods.json"
    path.write_text(json.dumps({"kind": "List", "items": objects}))
    return open_recording([str(path)], None)


def names(recording: Recording, namespace: str | None = None, labels: str = "", fields: str = "") -> list[str]:
    pages = recording.list(PODS, namespace, label_selector=labels, field_selector=fields)
    return [f"{pod.metadata.namespace}/{pod.metadata.name}" for page in pages for pod in page.items]


@pytest.mark.parametrize("passes", [0, 1])
@pytest.mark.parametrize(
    ("namespace", "labels", "fields", "expected"),
    [
        (None, "", "", ["shop/web-0", "shop/web-1", "shop/db-0", "billing/web-0", "billing/odd"]),
        ("billing", "", "", ["billing/web-0", "billing/odd"]),
        ("nowhere", "", "", []),
        (None, "app=web", "", ["shop/web-0", "shop/web-1"]),
        ("shop", "app in (web,db),!tier", "", ["shop/web-1", "shop/db-0"]),
        (None, "app!=web", "", ["shop/db-0", "billing/web-0", "billing/odd"]),
        (None, "", "metadata.name=web-0", ["shop/web-0", "billing/web-0"]),
        (None, "", "metadata.name=web-0,metadata.namespace!=shop", ["billing/web-0"]),
        (None, "", "spec.nodeName=n1", ["shop/web-0"]),
        (None, "", "spec.host=n1", ["shop/web-0"]),
        (None, "", "spec.nodeName=7", ["billing/odd"]),
        (None, "", "status.phase==Failed", ["shop/web-1"]),
        (None, "", "spec.restartPolicy=Always", ["shop/web-0"]),
        (None, "", "spec.schedulerName=mine", ["shop/db-0"]),
        (None, "", "spec.serviceAccountName=db", ["shop/db-0"]),
        (None, "", "spec.hostNetwork=true", ["shop/web-1"]),
        ("shop", "", "spec.hostNetwork=false", ["shop/web-0", "shop/db-0"]),
        (None, "", "status.podIP=10.0.0.1", ["billing/web-0"]),
        (None, "", "status.podIPs=10.0.0.1", []),
        (None, "", "status.nominatedNodeName=n1", ["billing/odd"]),
    ],
)
def test_pods_are_selected(
    recording: Recording, passes: int, namespace: str | None, labels: str, fields: str, expected: list[str]
) -> None:
    for _ in range(passes):
        names(recording)
    assert names(recording, namespace, labels, fields) == expected


def test_events_are_selected() -> None:
    event = Event(
        involved_object=ObjectReference("Pod", "shop", "web", "1", "spec.containers{app}"),
        type="Warning",
        reason="BackOff",
        source=EventSource("kubelet"),
        reporting_component="other",
    )
    for field, value in {
        "involvedObject.kind": "Pod",
        "involvedObject.namespace": "shop",
        "involvedObject.name": "web",
        "involvedObject.uid": "1",
        "involvedObject.fieldPath": "spec.containers{app}",
        "type": "Warning",
        "reason": "BackOff",
        "source": "kubelet",
        "reportingComponent": "other",
    }.items():
        assert selector(EVENTS, None, "", f"{field}={value}").matches(event)
        assert not selector(EVENTS, None, "", f"{field}!={value}").matches(event)
        assert not selector(EVENTS, None, "", f"{field}=another").matches(event)


def test_a_namespace_means_nothing_for_what_has_none() -> None:
    assert selector(NODES, "shop", "", "").takes_all()


@pytest.mark.parametrize("text", ['say "web"', "back\\slash", "naïve", "a/b", "tab\t"])
def test_a_value_is_found_however_json_writes_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pods.json"
    for ensure_ascii in (True, False):
        written = json.dumps(pod("web", spec={"nodeName": text}), ensure_ascii=ensure_ascii).replace("/", "\\/")
        path.write_text(written)
        recording = open_recording([str(path)], None)
        wanted = text.replace("\\", "\\\\")
        assert names(recording) == names(recording, fields=f"spec.nodeName={wanted}") == ["shop/web"]
    path.write_text(json.dumps(pod("web")).replace("web", "\\u0077eb"))
    recording = open_recording([str(path)], None)
    assert names(recording) == names(recording, fields="metadata.name=web") == ["shop/web"]


@pytest.mark.parametrize(
    ("labels", "fields", "says"),
    [
        ("app in", "", "unable to parse requirement: found '' expected: '('"),
        ("app=web,", "", "found '', expected: identifier after ','"),
        ("=web", "", "found '=', expected: !, identifier, or 'end of string'"),
        ("", "colour=blue", "field label not supported: colour"),
        ("", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
    ],
)
def test_a_bad_selector_is_refused_in_the_words_of_the_server(
    recording: Recording, labels: str, fields: str, says: str
) -> None:
    with pytest.raises(AccessError) as raised:
        names(recording, None, labels, fields)
    assert str(raised.value) == (
        'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match'
        f' label selector "{labels}", field selector "{fields}": {says}'
    )
