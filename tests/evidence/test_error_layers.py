"""Errors taken apart: which layers, what the innermost one said, and the words that are left without names."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.error_layers import READ_FIRST, READ_LAST, readable_part, unwrap

from .field_texts import field_texts


@pytest.mark.parametrize(
    ("message", "layers", "innermost"),
    [
        pytest.param("", (), "", id="nothing"),
        pytest.param("no room", (), "no room", id="no wrapper"),
        pytest.param("Error: no room", ("Error",), "no room", id="kubelet"),
        pytest.param("Error:", (), "Error:", id="a wrapper alone"),
        pytest.param(
            "(combined from similar events): Failed to create pod sandbox: rpc error: code = Unknown desc = no room",
            ("(combined from similar events)", "Failed to create pod sandbox", "rpc error: code = Unknown desc"),
            "no room",
            id="recorder and gRPC",
        ),
        pytest.param(
            'CreatePodSandbox for pod "a_b(c)" failed: rpc error: code = 2 desc = no room',
            ('CreatePodSandbox for pod "a_b(c)" failed', "rpc error: code = 2 desc"),
            "no room",
            id="gRPC in the middle of a log line",
        ),
        pytest.param(
            'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: no room"',
            ("rpc error: code = Unavailable desc", "connection error: desc"),
            "transport: Error while dialing: no room",
            id="gRPC in gRPC, quoted",
        ),
        pytest.param(
            'container_linux.go:344: starting container process caused "process_linux.go:424: container init caused '
            '\\"process_linux.go:390: setting cgroup config caused \\\\\\"no room\\\\\\"\\"": unknown',
            (
                "container_linux.go:344",
                "starting container process",
                "process_linux.go:424",
                "container init",
                "process_linux.go:390",
                "setting cgroup config",
            ),
            "no room",
            id="runc before 1.0.0-rc91: quotes in quotes in quotes",
        ),
        pytest.param(
            'starting container process caused "container init caused \\"no ro',
            ("starting container process", "container init"),
            "no ro",
            id="the same, cut off",
        ),
        pytest.param(
            'container init caused "rootfs_linux.go:58: mounting \\"/a\\" to rootfs at \\"/b\\" caused \\"no room\\""',
            ("container init", "rootfs_linux.go:58"),
            'mounting "/a" to rootfs at "/b" caused: no room',
            id="a layer that names what it failed on stays with its cause",
        ),
        pytest.param(
            'getting the final child\'s pid from pipe caused "EOF"',
            (),
            "getting the final child's pid from pipe: EOF",
            id="EOF says nothing alone",
        ),
        pytest.param(
            'running exec setns process for init caused "exit status 27"',
            (),
            "running exec setns process for init: exit status 27",
            id="nor does an exit status",
        ),
        pytest.param(
            'container create failed: time="2020-09-19T13:44:36Z" level=warning msg="exit status 1" '
            'time="2020-09-19T13:44:36Z" level=error msg="container_linux.go:348: no \\"room\\"\\n"',
            ("container create failed", "container_linux.go:348"),
            'no "room"',
            id="conmon's log: the last line",
        ),
        pytest.param(
            '[failed to set up sandbox container "c" network for pod "p": no room, '
            'failed to clean up sandbox container "c" network for pod "p": none either]',
            ('failed to set up sandbox container "c" network for pod "p"',),
            "no room",
            id="dockershim's two errors: the first",
        ),
        pytest.param("[default/web:net]: no room", (), "[default/web:net]: no room", id="a pod's name is no list"),
        pytest.param(
            'failed to create shim task: Others("create: no room"): unknown',
            ("failed to create shim task", "Others("),
            "create: no room",
            id="Rust",
        ),
        pytest.param(
            'exec: "no room": executable file not found', (), 'exec: "no room": executable file not found', id="a name"
        ),
        pytest.param("no room: unknown: unknown", (), "no room", id="containerd's closing codes"),
    ],
)
def test_takes_layers_off(message: str, layers: tuple[str, ...], innermost: str) -> None:
    unwrapped = unwrap(message)
    assert (unwrapped.layers, unwrapped.innermost) == (layers, innermost)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("rpc error: code = Unknown desc = a", "Unknown"),
        ("rpc error: code = 2 desc = a", "Unknown"),
        ("rpc error: code = 4 desc = a", "DeadlineExceeded"),
        ("rpc error: code = Code(99) desc = a", "Code"),
        ("Error: a: rpc error: code = NotFound desc = a", "NotFound"),
        ("rpc error: code = Unknown desc = a: rpc error: code = Unavailable desc = b", "Unknown"),
        ("a", None),
    ],
)
def test_the_code_is_what_the_kubelet_got(message: str, code: str | None) -> None:
    assert unwrap(message).grpc_code == code


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('failed to start "oom-killed": EOF', 'failed to start "": EOF'),
        ('Get \\"http://oom-killed\\": EOF', 'Get "": EOF'),
        ('a "b \\"oom\\" c" d', 'a "" d'),
        ("open `/oom`: No such file", "open ``: No such file"),
        ("can't open 'oom' or /oom/killed: EOF", "can't open '' or /: EOF"),
        ("in pod sandbox k8s_oom_killed_1(abc): EOF", "in pod sandbox k8s EOF"),
        ("[oom/killed:net]: EOF", "[]: EOF"),
        ("adding pod oom_killed to CNI network", "adding pod  to CNI network"),
        ("K8S_POD_NAME=oom-killed;IfName:eth0", "K8S_POD_NAME=;IfName:"),
        ('a "name that was cut o', 'a "name that was cut o'),
    ],
)
def test_leaves_names_out_of_the_words(message: str, words: str) -> None:
    assert unwrap(message).words == words


@given(st.lists(st.sampled_from(("container init", "a", "starting container process", "b.go:1: c")), max_size=6))
def test_quotes_come_off_however_deep(layers: list[str]) -> None:
    message = "no room here"
    for layer in layers:
        message = f"{layer} caused {json.dumps(message)}"
    assert unwrap(message).innermost == "no room here"


@given(st.integers(0, 40), st.integers(0, 50_000))
def test_reads_a_bounded_part_of_any_length(wrappers: int, length: int) -> None:
    message = "Error: " * wrappers + "x" * length
    read = readable_part(message)
    assert len(read) <= READ_FIRST + READ_LAST + 5
    assert read == message or (message.startswith(read[:READ_FIRST]) and message.endswith(read[-READ_LAST:]))


def test_says_nothing_that_the_text_does_not_say() -> None:
    for text in field_texts():
        unwrapped = unwrap(text.text())
        said = re.findall(r"\w+", f"{unwrapped.innermost} {unwrapped.layers} {unwrapped.words}")
        assert set(said) <= set(re.findall(r"\w+", text.text().replace("\\n", " "))) | {"k8s"}, text.source
