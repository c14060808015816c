"""The script of the pod, run by a shell here, on nodes whose programs are pretended."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kubectl_memdoctor.debugging.script import command, mark_of, sections

SERIAL = "x7k2p"
CHROOT = """
[ "$1" = /host ] || exit 125
shift
if [ ! -e "$NODE/$1" ]; then echo "chroot: failed to run command '$1': No such file or directory" >&2; exit 127; fi
program=$1
shift
"$NODE/$program" "$@"
"""
"""The node's programs lie in the folder $NODE."""
JOURNAL = """
case "$*" in
  *MESSAGE_ID=*) ;;
  *--lines=1\\ *) echo first ;;
  *) printf 'first\\nlast\\n' ;;
esac
"""
OLD_JOURNAL = """
case "$*" in *short-iso-precise*) echo "Unknown output 'short-iso-precise'." >&2; exit 1 ;; esac
"""
"""systemd 219"""
SHELLS = [shell for shell in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
needs_shell = pytest.mark.skipif(os.name != "posix" or not SHELLS, reason="there is no POSIX shell")


def printed(
    tmp_path: Path,
    shell: list[str] = SHELLS[0],
    runtime: str = "containerd://2.2.0",
    own_dmesg: str = "exit 1",
    **programs: str,
) -> bytes:
    """What the pod prints on a node with these programs: name -> body of a shell script; and the image's own dmesg."""
    image, node = tmp_path / "image", tmp_path / "node"
    write(image, {"chroot": CHROOT, "dmesg": own_dmesg})
    write(node, programs)
    environ = {"PATH": f"{image}:{os.environ['PATH']}", "NODE": str(node), "MARK": mark_of(SERIAL)}
    _, *arguments = command(runtime)
    done = subprocess.run([*shell, *arguments], env=environ, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    return done.stdout


def write(folder: Path, scripts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)


def told(output: bytes) -> dict[tuple[str, str], str]:
    """Kind and source of a section -> its text."""
    found = sections(output.splitlines(keepends=True), SERIAL)
    return {(entry.kind, entry.source): output[entry.start : entry.end].decode() for entry in found}


@needs_shell
@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_node_with_everything(tmp_path: Path, shell: list[str]) -> None:
    found = told(printed(tmp_path, shell, journalctl=JOURNAL, dmesg="echo no", crictl="echo POD ID", docker="echo no"))
    clock = found.pop(("clock", ""))
    assert re.fullmatch(r"\d+\.\d+ \d{10}\n", clock), clock
    assert found == {
        ("kernel", "journalctl"): "first\nlast\n",
        ("missed", ""): "",
        ("errors", "kernel"): "",
        ("sandboxes", "crictl"): "POD ID\n",
        ("errors", "sandboxes"): "",
        ("end", ""): "",
    }


@needs_shell
@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_node_with_nothing(tmp_path: Path, shell: list[str]) -> None:
    """Not even a shell: then the image's own dmesg reads the log."""
    found = told(printed(tmp_path, shell, own_dmesg="echo '[    0.000000] Linux'"))
    assert found["kernel", "dmesg"] == "[    0.000000] Linux\n"
    assert not [kind for kind, _ in found if kind == "sandboxes"]
    assert "'crictl': No such file" in found["errors", "sandboxes"]


@needs_shell
def test_an_old_journal(tmp_path: Path) -> None:
    assert told(printed(tmp_path, journalctl=OLD_JOURNAL + JOURNAL))["kernel", "journalctl"] == "first\nlast\n"


@needs_shell
def test_a_journal_that_lost_messages(tmp_path: Path) -> None:
    journal = JOURNAL.replace("MESSAGE_ID=*) ;;", "MESSAGE_ID=*) echo 'Missed 3 kernel messages' ;;")
    assert told(printed(tmp_path, journalctl=journal))["missed", ""] == "Missed 3 kernel messages\n"


@needs_shell
@pytest.mark.parametrize("journal", ["exit 0", "echo 'Failed to open journal' >&2; exit 1"])
def test_an_empty_journal(tmp_path: Path, journal: str) -> None:
    found = told(printed(tmp_path, journalctl=journal, dmesg="echo '[    0.000000] Linux'"))
    assert found["kernel", "dmesg"] == "[    0.000000] Linux\n"


@needs_shell
def test_a_kernel_log_that_may_not_be_read(tmp_path: Path) -> None:
    refused = "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1"
    found = told(
        printed(tmp_path, dmesg=refused, own_dmesg="echo 'dmesg: klogctl: Operation not permitted' >&2; exit 1")
    )
    assert found["kernel", "dmesg"] == ""
    assert found["errors", "kernel"].splitlines()[-2:] == [
        "dmesg: read kernel buffer failed: Operation not permitted",
        "dmesg: klogctl: Operation not permitted",
    ]


@needs_shell
@pytest.mark.parametrize(
    ("runtime", "crictl", "docker", "source"),
    [
        ("docker://19.3.5", "echo no", "echo $*", "docker"),
        ("docker://19.3.5", "echo $*", "exit 1", "crictl"),
        ("cri-o://1.33.0", "echo $*", "echo no", "crictl"),
        ("containerd://1.7.0", "exit 1", "echo $*", "docker"),
    ],
)
def test_which_runtime_is_asked(tmp_path: Path, runtime: str, crictl: str, docker: str, source: str) -> None:
    found = told(printed(tmp_path, runtime=runtime, crictl=crictl, docker=docker))
    words = {"crictl": "pods --output=json\n", "docker": "ps --all --no-trunc --filter name=k8s_POD\n"}
    assert found["sandboxes", source] == words[source]


SANDBOXES = Path(__file__).with_name("sandboxes.json")
"""What crictl 1.34.0 printed on a node with containerd 2.2.9, 2026-11-28; one annotation added, others taken out."""


@needs_shell
@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_labels_and_annotations_are_left_out(tmp_path: Path, shell: list[str]) -> None:
    found = told(printed(tmp_path, shell, crictl=f"cat {SANDBOXES}"))["sandboxes", "crictl"]
    whole, kept = (json.loads(text)["items"] for text in (SANDBOXES.read_text(), found))
    assert not any(item.get("labels") or item.get("annotations") for item in kept)
    for item in (*whole, *kept):
        item.pop("labels", None)
        item.pop("annotations", None)
    assert kept == whole


def test_a_mark_in_a_line_is_none() -> None:
    """Only at its beginning; and the mark itself is new each time."""
    output = f"{mark_of(SERIAL)} kernel dmesg\n[1.0] {mark_of(SERIAL)} end\n{mark_of('other')} end\n".encode()
    assert told(output) == {("kernel", "dmesg"): f"[1.0] {mark_of(SERIAL)} end\n{mark_of('other')} end\n"}


def test_an_output_that_breaks_off() -> None:
    output = f"\n{mark_of(SERIAL)} kernel dmesg\n[1.0] a\n[2.0".encode()
    assert told(output) == {("kernel", "dmesg"): "[1.0] a\n[2.0"}


@pytest.mark.parametrize("output", [b"", b"\n\n", b"sh: not found\n", bytes(range(256)) * 10])
def test_an_output_of_something_else(output: bytes) -> None:
    assert told(output) == {}
