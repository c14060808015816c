"""Which files are read, in which order, under which names; and what becomes of those that cannot be."""

from __future__ import annotations

import gzip
import io
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from kubectl_memdoctor.node_logs.files import LogSource, NotRead, open_logs

KERNEL = b"Nov 28 18:45:27 worker-1 kernel: [ 9485.381001] exe invoked oom-killer: gfp_mask=0xd0, order=0\n"
DMESG = b"[ 9485.381001] exe invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=-999\n"
KLOG = b"I1128 18:45:27.381370    1234 manager.go:1242] x\n"
DOCKER_PS = b"CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   NAMES\n"


def lay(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def opened(*paths: Path | str) -> tuple[list[LogSource], list[str], int]:
    found = [*open_logs([str(path) for path in paths], None)]
    sources = [entry for entry in found if isinstance(entry, LogSource)]
    left_out = [entry for entry in found if isinstance(entry, NotRead)]
    return sources, [entry.problem for entry in left_out if entry.problem], sum(one.passed_over for one in left_out)


def names(folder: Path, sources: list[LogSource]) -> list[str]:
    return [Path(source.name).relative_to(folder).as_posix() for source in sources]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sos_commands/kernel/dmesg", DMESG),
        ("sos_commands/kernel/dmesg_-T", b"[Sat Nov 28 18:45:27 2026] x\n"),
        ("sos_commands/logs/journalctl_--no-pager", b"-- Logs begin at Mon 2026-11-02 --\n" + KERNEL * 3),
        ("sos_commands/crio/journalctl_--no-pager_--unit_crio", KERNEL.replace(b"kernel:", b"crio[1]:")),
        ("sos_commands/docker/docker_ps_-a", DOCKER_PS),
        ("var/log/messages", KERNEL),
        ("var/log/messages-20261122", KERNEL.replace(b"kernel:", b"sshd[7]:")),
        ("var/log/kern.log", KERNEL),
        ("nodes/worker-1/worker-1_logs_kubelet.gz", gzip.compress(KLOG, mtime=0)),
        ("host_service_logs/masters/kubelet_service.log", b"master-0 " + KERNEL.replace(b"kernel:", b"kubelet[7]:")),
        ("kubelet.json", b'{"ts":1554106927381.37,"caller":"x.go:1","v":0,"msg":"x"}\n'),
        ("containerd.log", b'time="2026-11-28T18:45:27+08:00" level=info msg="x"\n'),
        ("journal.json", b'{"MESSAGE":"x","_TRANSPORT":"kernel","__REALTIME_TIMESTAMP":"1554106927381370"}\n'),
        ("cadvisor.txt", b"# HELP container_memory_failcnt Number\n# TYPE container_memory_failcnt counter\n"),
        ("summary.json", b'{"node":{"nodeName":"a"},"pods":[{"podRef":{"name":"x"}}]}'),
        ("utf16.txt", DMESG.decode().encode("utf-16")),
    ],
)
def test_a_folder_s_logs_are_known_by_what_stands_in_them(tmp_path: Path, name: str, data: bytes) -> None:
    sources, problems, passed_over = opened(lay(tmp_path, {name: data}))
    assert (names(tmp_path, sources), problems, passed_over) == ([name], [], 0)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bin/kubelet", b"\x7fELF\x02\x01\x01\0\0\0\0" + bytes(range(256))),
        ("empty.log", b""),
        ("blank.log", b"\n \n"),
        ("notes.txt", b"The node was slow.\nkernel: yes\n"),
        ("pods.json", b'{"kind":"List","items":[{"kind":"Pod"}]}'),
        ("etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n"),
        ("proc/meminfo", b"MemTotal:       24576000 kB\nMemFree:        1000 kB\n"),
        ("app.log", b"2026-11-28T10:45:27Z listening\n"),
        ("var/log/pods/default_web_1/app/0.log", b"2026-11-28T10:45:27Z stderr F " + DMESG),
        ("namespaces/default/pods/web/logs/current.log", KLOG),
        ("image.gz", gzip.compress(bytes(range(256)) * 10, mtime=0)),
    ],
)
def test_what_else_is_in_a_folder_is_passed_over(tmp_path: Path, name: str, data: bytes) -> None:
    sources, problems, passed_over = opened(lay(tmp_path, {name: data, "dmesg": DMESG}))
    assert (names(tmp_path, sources), problems, passed_over) == (["dmesg"], [], 1)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"dmesg": DMESG}, ["", ""]),
        ({"dmesg": DMESG, "etc/hostname": b"worker-1.example\n"}, ["worker-1.example"]),
        ({"sos_commands/kernel/dmesg": DMESG, "sos_commands/host/hostname": b"worker-1\n"}, ["worker-1"]),
        ({"nodes/worker-2/dmesg": DMESG, "nodes/worker-3/dmesg": DMESG}, ["worker-2", "worker-3"]),
        (
            {"a/etc/hostname": b"a\n", "a/dmesg": DMESG, "b/etc/hostname": b"b\n", "b/var/log/dmesg": DMESG},
            ["a", "b"],
        ),
        ({"dmesg": DMESG, "etc/hostname": b"\x1b[31m\n"}, [""]),
    ],
)
def test_the_node_s_name_shows_from_the_layout(tmp_path: Path, files: Mapping[str, bytes], expected: list[str]) -> None:
    sources, _, _ = opened(lay(tmp_path, files))
    assert [source.node for source in sources] == expected[: len(sources)]


def test_rotated_logs_come_in_the_order_of_time(tmp_path: Path) -> None:
    files = ("syslog", "syslog.1", "syslog.10.gz", "syslog.2.gz", "messages-20261115", "messages", "messages-20261101")
    lay(tmp_path, {name: gzip.compress(KERNEL, mtime=0) if name.endswith("gz") else KERNEL for name in files})
    sources, _, _ = opened(tmp_path)
    assert names(tmp_path, sources) == [
        "messages-20261101",
        "messages-20261115",
        "messages",
        "syslog.10.gz",
        "syslog.2.gz",
        "syslog.1",
        "syslog",
    ]
    named = {Path(source.name).name: source.series for source in sources}
    assert named["syslog"] == named["syslog.1"] == named["syslog.2.gz"]
    assert len({*named.values()}) == 5, "between 10 and 2 some are missing, and between dates some may be"


def test_rotated_files_that_are_named_one_by_one(tmp_path: Path) -> None:
    lay(tmp_path, {"kern.log": KERNEL, "kern.log.1": KERNEL, "dmesg": DMESG})
    sources, _, _ = opened(tmp_path / "kern.log", tmp_path / "dmesg", tmp_path / "kern.log.1")
    assert names(tmp_path, sources) == ["kern.log.1", "kern.log", "dmesg"]


def test_a_named_file_is_read_whatever_it_looks_like(tmp_path: Path) -> None:
    sources, problems, _ = opened(lay(tmp_path, {"notes.txt": b"oom\n"}) / "notes.txt")
    assert (names(tmp_path, sources), problems) == (["notes.txt"], [])
    assert b"".join(sources[0].open()) == b"oom\n"


def test_standard_input() -> None:
    (source,) = open_logs(["-"], io.BytesIO(DMESG))
    assert isinstance(source, LogSource)
    assert (source.name, b"".join(source.open())) == ("standard input", DMESG)


def test_standard_input_that_is_closed() -> None:
    assert [*open_logs(["-"], None)] == [NotRead("standard input: is closed")]


def test_a_missing_file(tmp_path: Path) -> None:
    lay(tmp_path, {"dmesg": DMESG})
    sources, problems, _ = opened(tmp_path / "gone", tmp_path / "dmesg")
    assert names(tmp_path, sources) == ["dmesg"]
    assert problems == [f"{tmp_path / 'gone'}: No such file or directory"]


def test_links_within_a_folder(tmp_path: Path) -> None:
    """A file that is there twice is read once; a link to where one is already leads nowhere new."""
    lay(tmp_path, {"sos_commands/kernel/dmesg": DMESG})
    (tmp_path / "dmesg").symlink_to("sos_commands/kernel/dmesg")
    (tmp_path / "sos_commands" / "all").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    sources, problems, passed_over = opened(tmp_path)
    assert (names(tmp_path, sources), passed_over) == (["dmesg"], 1)
    assert problems == [
        f"{tmp_path / 'self'}: Too many levels of symbolic links",
        f"{tmp_path / 'sos_commands' / 'all'}: a link to a folder that it lies in",
    ]


def test_links_that_lead_out_of_a_folder(tmp_path: Path) -> None:
    """They meant the node's own files, not those of the machine at hand."""
    lay(tmp_path, {"machine/var/log/kern.log": KERNEL, "dump/dmesg": DMESG})
    (tmp_path / "dump" / "log").symlink_to(tmp_path / "machine" / "var" / "log")
    (tmp_path / "dump" / "kern.log").symlink_to(tmp_path / "machine" / "var" / "log" / "kern.log")
    (tmp_path / "dump" / "gone").symlink_to("nowhere")
    sources, problems, passed_over = opened(tmp_path / "dump")
    assert (names(tmp_path, sources), problems, passed_over) == (["dump/dmesg"], [], 3)


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    lay(tmp_path, {"dmesg": DMESG})
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s")) if len(str(tmp_path)) < 90 else None
        sources, problems, _ = opened(tmp_path)
    assert (names(tmp_path, sources), problems) == (["dmesg"], [])


def test_a_deep_folder(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    sources, problems, _ = opened(lay(deep, {"dmesg": DMESG}) and tmp_path)
    assert (len(sources), problems) == (1, [])


def test_a_folder_s_binary_journals_are_named_once(tmp_path: Path) -> None:
    lay(tmp_path, {f"journal/{number}.journal": b"LPKSHHRH" + bytes(200) for number in range(3)})
    _, problems, passed_over = opened(tmp_path)
    assert passed_over == 3
    (problem,) = problems
    assert problem.startswith(f"{tmp_path}: 3 journals in systemd's own form were not read")


def test_a_packed_log_that_is_cut_off_is_still_a_log(tmp_path: Path) -> None:
    packed = gzip.compress(DMESG * 50_000, mtime=0)[:-30]
    sources, problems, _ = opened(lay(tmp_path, {"dmesg.gz": packed}))
    assert (len(sources), problems) == (1, [])


def test_a_packed_file_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    _, problems, _ = opened(lay(tmp_path, {"messages.gz": b"\x1f\x8b\x08\x00", "syslog.zst": b"\x28\xb5\x2f\xfd\0"}))
    assert problems == [
        f"{tmp_path / 'messages.gz'}: the gzip data is cut off",
        f"{tmp_path / 'syslog.zst'}: packed with zstd: unpack it with zstd -d",
    ]


def test_what_may_not_be_read_costs_a_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is made to refuse: permissions would not keep root out."""
    lay(tmp_path, {"a/secret": DMESG, "b/secret/dmesg": DMESG, "c/dmesg": DMESG})
    opening, scanning = Path.open, os.scandir

    def refuse(path: object) -> None:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))

    def open_path(path: Path, *args: str, **kwargs: int) -> object:
        refuse(path)
        return opening(path, *args, **kwargs)  # type: ignore[call-overload]

    def scan(path: Path) -> object:
        refuse(path)
        return scanning(path)

    monkeypatch.setattr(Path, "open", open_path)
    monkeypatch.setattr(os, "scandir", scan)
    sources, problems, _ = opened(tmp_path)
    assert names(tmp_path, sources) == ["c/dmesg"]
    assert problems == [
        f"{tmp_path / 'a' / 'secret'}: Permission denied",
        f"{tmp_path / 'b' / 'secret'}: Permission denied",
    ]
