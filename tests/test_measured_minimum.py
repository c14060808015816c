"""The file of minimums that were measured on a cluster's own nodes: read back, refused, put together."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typed import convert

from kubectl_memdoctor import objects
from kubectl_memdoctor.measured_minimum import (
    MOST_BYTES,
    MeasuredMinimumError,
    Measurement,
    Pool,
    Try,
    decode,
    encode,
    failed_bytes,
    merge,
    pool_of,
    ready_bytes,
)

MIB = 1 << 20
EXAMPLE = """\
apiVersion: memdoctor.dev/v1
kind: SandboxMinimumList
items:
- node: worker-1
  pool: {containerRuntimeVersion: containerd://2.2.0, kernelVersion: 6.10, architecture: amd64, cpus: 2, handler: ""}
  failedBytes: 3145728
  readyBytes: 4194304
  tries: [{limitBytes: 4194304, ready: 4, failed: 0}, {limitBytes: 3145728, ready: 1, failed: 3, failedAt: sandbox},
    {limitBytes: 2097152, ready: 0, failed: 4, failedAt: container}]
  image: registry.k8s.io/pause:3.10
  takenAt: 2026-11-24T18:00:00Z
"""


def example(**changed: Any) -> Any:
    """The example as plain data, with fields of its measurement changed; a dotted name is one of its pool's."""
    plain = yaml.load(EXAMPLE, yaml.BaseLoader)
    for name, value in changed.items():
        plain["items"][0][name] = value
    return plain


def refusal(text: str | bytes) -> str:
    with pytest.raises(MeasuredMinimumError) as error:
        decode(text.encode() if isinstance(text, str) else text, "my.yaml")
    said = str(error.value)
    assert said.startswith("my.yaml: ")
    assert said.isprintable()
    return said.removeprefix("my.yaml: ")


class TestDecode:
    def test_the_example(self) -> None:
        (found,) = decode(EXAMPLE.encode(), "my.yaml")
        assert found.pool.kernel_version == "6.10"
        assert (found.failed_bytes, found.ready_bytes) == (3 * MIB, 4 * MIB)
        assert found.none_ready_bytes == 2 * MIB
        assert found.times == 12
        assert found.sandbox_tries == (), "older versions kept none"
        assert found.taken_at == datetime(2026, 11, 24, 18, tzinfo=UTC)

    def test_json_and_tabs(self) -> None:
        typed = msgspec.to_builtins(decode(EXAMPLE.encode(), "my.yaml"))
        plain = {"apiVersion": "memdoctor.dev/v1", "kind": "SandboxMinimumList", "items": typed}
        text = json.dumps(plain, indent="\t").encode()
        assert decode(text, "my.json") == decode(EXAMPLE.encode(), "my.yaml")

    def test_a_list_may_be_empty(self) -> None:
        assert decode(b"{apiVersion: memdoctor.dev/v1, kind: SandboxMinimumList, items: []}", "my.yaml") == ()

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "is something without a kind, not a SandboxMinimumList of memdoctor.dev/v1"),
            ("- a\n- b\n", "is something without a kind, not a SandboxMinimumList of memdoctor.dev/v1"),
            ("just words", "is something without a kind, not a SandboxMinimumList of memdoctor.dev/v1"),
            ("{kind: Pod}", "is a Pod of no apiVersion, not a SandboxMinimumList of memdoctor.dev/v1"),
            (
                "{kind: SandboxMinimumList, apiVersion: memdoctor.dev/v2}",
                "is a SandboxMinimumList of memdoctor.dev/v2, not a SandboxMinimumList of memdoctor.dev/v1",
            ),
            ('{"kind": ["a"]}', "kind: expected str, got array"),
            ("a: b: c", "line 1: not valid YAML: mapping values are not allowed in this context"),
            ("kind: x\n  b: c", "line 2: not valid YAML: mapping values are not allowed in this context"),
            ('kind: "\\e[31m\\n"', None),
            ("[" * 100_000, None),
            ("{a: " * 100_000, None),
            (b"\xff\xfe\xfd", None),
            (b"\x00\x01kind", None),
            (b" " * (MOST_BYTES + 1), "is larger than 1Mi: not a SandboxMinimumList"),
        ],
    )
    def test_what_is_no_such_list(self, text: str | bytes, said: str | None) -> None:
        found = refusal(text)
        assert said is None or found == said

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"node": ""}, "items[0].node: expected str of length >= 1"),
            ({"failedBytes": "-1"}, "items[0].failedBytes: expected int >= 0"),
            ({"readyBytes": "0"}, "items[0].readyBytes: expected int >= 1"),
            ({"readyBytes": "4Mi"}, "items[0].readyBytes: expected int, got str"),
            ({"takenAt": "yesterday"}, "items[0].takenAt: invalid RFC3339 encoded datetime"),
            ({"takenAt": "2026-11-24T18:00:00"}, "items[0].takenAt: expected datetime with a timezone component"),
            ({"tries": []}, "items[0].tries: expected array of length >= 1"),
            ({"ready": "1"}, "items[0]: object contains unknown field ready"),
            ({"failedBytes": "4194304"}, "items[0]: failedBytes 4194304 is not below readyBytes 4194304"),
            ({"failedBytes": "0"}, "items[0]: failedBytes is 0, but by its tries it is 3145728"),
            ({"readyBytes": "3145729"}, "items[0]: readyBytes is 3145729, but by its tries it is 4194304"),
            (
                {"tries": [{"limitBytes": "1", "ready": "0", "failed": "0"}]},
                "items[0]: tries has a limit that was not tried",
            ),
            (
                {"tries": [{"limitBytes": "1", "ready": "0", "failed": "1"}] * 2},
                "items[0]: tries has a limit twice",
            ),
            (
                {"sandboxTries": [{"limitBytes": "1", "ready": "0", "failed": "1"}] * 2},
                "items[0]: sandboxTries has a limit twice",
            ),
            (
                {"sandboxTries": [{"limitBytes": "1", "ready": "0", "failed": "0"}]},
                "items[0]: sandboxTries has a limit that was not tried",
            ),
            (
                {"tries": [{"limitBytes": "3145728", "ready": "0", "failed": "1"}]},
                "items[0]: readyBytes is 4194304, but by its tries it is not known",
            ),
            (
                {"tries": [{"limitBytes": "1", "ready": "0", "failed": "1", "failedAt": "night"}]},
                "items[0].tries[0].failedAt: invalid enum value 'night'",
            ),
            (
                {"pool": {"containerRuntimeVersion": "x", "kernelVersion": "y", "architecture": "z", "cpus": "0"}},
                "items[0].pool.cpus: expected int >= 1",
            ),
            ({"pool": {"kernelVersion": "y"}}, "items[0].pool: object missing required field containerRuntimeVersion"),
        ],
    )
    def test_a_measurement_that_cannot_be(self, changed: dict[str, Any], said: str) -> None:
        assert refusal(yaml.safe_dump(example(**changed))) == said


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
TRIES = st.lists(
    st.builds(
        Try,
        limit_bytes=st.integers(1, 1 << 40),
        ready=st.integers(0, 9),
        failed=st.integers(0, 9),
        failed_at=st.sampled_from(["", "sandbox", "container"]),
    ).filter(lambda entry: entry.ready or entry.failed),
    min_size=1,
    unique_by=lambda entry: entry.limit_bytes,
)
SANDBOX_TRIES: st.SearchStrategy[list[Try]] = st.one_of(st.just([]), TRIES)


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    tries = (*draw(TRIES), Try(limit_bytes=1 << 41, ready=draw(st.integers(1, 9)), failed=0))
    ready = ready_bytes(tries)
    assert ready is not None
    return Measurement(
        node=draw(TEXTS),
        pool=Pool(
            container_runtime_version=draw(TEXTS),
            kernel_version=draw(TEXTS),
            architecture=draw(TEXTS),
            cpus=draw(st.integers(1, 8192)),
            handler=draw(st.one_of(st.just(""), TEXTS)),
        ),
        failed_bytes=failed_bytes(tries),
        ready_bytes=ready,
        tries=tries,
        sandbox_tries=tuple(draw(SANDBOX_TRIES)),
        image=draw(TEXTS),
        taken_at=draw(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),
    )


@settings(deadline=None)
@given(st.lists(measurements(), max_size=3))
def test_what_is_written_is_read_back(some: list[Measurement]) -> None:
    assert decode(encode(some).encode(), "x") == merge((), some)


@settings(deadline=None)
@given(measurements())
def test_the_figures_of_a_measurement_are_in_order(one: Measurement) -> None:
    assert 0 <= one.none_ready_bytes <= one.failed_bytes < one.ready_bytes


def _measured(node: str, day: int, *, kernel: str = "6.1", tries: int = 1) -> Measurement:
    return Measurement(
        node=node,
        pool=Pool(container_runtime_version="containerd://2.2.0", kernel_version=kernel, architecture="amd64", cpus=2),
        failed_bytes=0,
        ready_bytes=MIB,
        tries=(Try(limit_bytes=MIB, ready=tries, failed=0),),
        image="pause",
        taken_at=datetime(2026, 11, day, tzinfo=UTC),
    )


class TestMerge:
    def test_a_text_with_both_gives_the_newest(self) -> None:
        older, newer = _measured("one", 1), _measured("one", 2)
        assert decode(encode([newer, older]).encode(), "x") == (newer,)

    def test_the_newer_replaces_the_older_of_the_same_node_and_pool(self) -> None:
        older, newer = _measured("one", 1), _measured("one", 2)
        assert merge([older], [newer]) == merge([newer], [older]) == (newer,)

    def test_what_is_equally_old_comes_from_the_new(self) -> None:
        first, second = _measured("one", 1, tries=1), _measured("one", 1, tries=2)
        assert merge([first], [second]) == (second,)

    def test_other_nodes_and_pools_stay(self) -> None:
        some = [_measured("one", 1), _measured("two", 1), _measured("one", 1, kernel="6.2")]
        assert merge(some[:1], some[1:]) == tuple(some)
        assert merge(some, []) == merge([], some) == tuple(some)


def _node(cpu: str = "4", **info: str) -> objects.Node:
    known = {"containerRuntimeVersion": "containerd://2.2.0", "kernelVersion": "6.1", "architecture": "arm64"}
    return convert(
        {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": cpu}, "nodeInfo": {**known, **info}}}, objects.Node
    )


def test_the_pool_of_a_node() -> None:
    pool = pool_of(_node(), "crun")
    assert pool == Pool(
        container_runtime_version="containerd://2.2.0",
        kernel_version="6.1",
        architecture="arm64",
        cpus=4,
        handler="crun",
    )
    without = pool_of(_node(), None)
    assert without is not None
    assert without.handler == ""


@pytest.mark.parametrize(
    "node", [_node(""), _node("0"), _node("many"), _node(kernelVersion=""), _node(architecture="")]
)
def test_a_node_that_says_too_little_has_no_pool(node: objects.Node) -> None:
    assert pool_of(node, None) is None
