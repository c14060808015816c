# ruff: noqa: RUF001 - months in Cyrillic letters
"""Lines as programs and carriers write them -> LogLine.

dmesg's were printed by util-linux 2.38.1 (`dmesg -F`), journalctl's by systemd 252 from a journal made for it, both in
the time zone Asia/Shanghai and, where a language stands beside them, in glibc 2.36's locale of it (November 2026).
"""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.log_formats import (
    KEPT_OF_LONGER,
    LONGEST_ENTRY,
    Framing,
    LineDecoder,
    framing_of,
    shortened,
    writer_of_file,
    writer_of_program,
)
from kubectl_memdoctor.evidence.log_line import LogLine, Writer

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=8))
INVOKED = "exe invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=-999"
EVENT = 'Created an OOM event in container "/kubepods/x"'
LOGRUS = 'level=error msg="Handler for POST /containers/1/start returned error: x" module=api'

LOCAL: dict[str, object] = {"time": datetime(2026, 11, 28, 18, 45, 27, tzinfo=UTC), "zone_known": False}
KNOWN: dict[str, object] = {"time": datetime(2026, 11, 28, 18, 45, 27, tzinfo=EAST)}
KERNEL: dict[str, object] = {"text": INVOKED, "writer": Writer.KERNEL}
HOST: dict[str, object] = {"host": "worker-1"}


def decode(raw: bytes | str, now: datetime = NOW, writer: Writer = Writer.UNKNOWN) -> LogLine:
    data = raw.encode() if isinstance(raw, str) else raw
    framing = framing_of(data)
    (line,) = LineDecoder(now=now, writer=writer).lines(data, framing=framing)
    return line


def local(month: int, day: int, hour: int, minute: int, second: int = 0, micros: int = 0) -> dict[str, object]:
    return {"time": datetime(2026, month, day, hour, minute, second, micros, tzinfo=UTC), "zone_known": False}


LINES = [
    pytest.param(f"[ 9485.381001] {INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="dmesg"),
    pytest.param(
        "[ 9485.381050] [ 121918]     0 121918     5749      763      15        0          -999 exe",
        {
            "text": "[ 121918]     0 121918     5749      763      15        0          -999 exe",
            "writer": Writer.KERNEL,
            "uptime_seconds": 9485.381050,
        },
        id="dmesg: a row of the task table",
    ),
    pytest.param(f"[    0.000000][    T0] {INVOKED}", {**KERNEL, "uptime_seconds": 0.0}, id="dmesg: caller"),
    pytest.param(f"[123456.000001] [ T1234] {INVOKED}", {**KERNEL, "uptime_seconds": 123456.000001}, id="util-linux"),
    pytest.param(f"[    1.000000][    C1] {INVOKED}", {**KERNEL, "uptime_seconds": 1.0}, id="dmesg: processor"),
    pytest.param(f"[ 9485.381001 <    0.000000>] {INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="dmesg -d"),
    pytest.param(f"<4>[ 9485.381001] {INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="dmesg -r"),
    pytest.param(
        "<30>[ 9486.000001] systemd[1]: Started Session 4 of user root.",
        {"text": "systemd[1]: Started Session 4 of user root.", "writer": Writer.OTHER, "uptime_seconds": 9486.000001},
        id="dmesg -r: not the kernel's own",
    ),
    pytest.param(f"kern  :warn  : [ 9485.381001] {INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="dmesg -x"),
    pytest.param(
        "daemon:info  : [ 9486.000001] systemd[1]: Started",
        {"text": "systemd[1]: Started", "writer": Writer.OTHER, "uptime_seconds": 9486.000001},
        id="dmesg -x: not the kernel's own",
    ),
    pytest.param(f"4,1234,9485381001,-;{INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="/dev/kmsg"),
    pytest.param(
        f"4,1234,9485381001,-,caller=T1;{INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="kmsg: caller"
    ),
    pytest.param("30,9,1000000,-;x", {"text": "x", "writer": Writer.OTHER, "uptime_seconds": 1.0}, id="kmsg: other"),
    pytest.param(f"[Sat Nov 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T"),
    pytest.param(f"[Sat Nov 28 18:45:27 2026 <    0.000049>] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T -d"),
    pytest.param(f"kern  :warn  : [Sat Nov 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -x -T"),
    pytest.param(f"[六 11月 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: zh_CN"),
    pytest.param(f"[土 11月 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: ja_JP"),
    pytest.param(f"[토 11월 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: ko_KR"),
    pytest.param(f"[Sa Nov 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: de_DE"),
    pytest.param(f"[sam. nov. 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: fr_FR"),
    pytest.param(f"[Сб ноя 28 18:45:27 2026] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: ru_RU"),
    pytest.param(f"[28 November 2026 18:45:27] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: another order"),
    pytest.param(f"[2026年 11月 28日 18:45:27 土] {INVOKED}", {**KERNEL, **LOCAL}, id="dmesg -T: year first"),
    pytest.param(f"[mar. mars  3 16:22:07 2026] {INVOKED}", {**KERNEL, **local(3, 3, 16, 22, 7)}, id="mardi, mars"),
    pytest.param(f"[mar. mars? 3 16:22:07 2026] {INVOKED}", KERNEL, id="a weekday is no month"),
    pytest.param(f"[so lis 28 18:45:27 2026] {INVOKED}", KERNEL, id="October in Croatian, November in Polish"),
    pytest.param(f"[Xyz Abc 28 18:45:27 2026] {INVOKED}", KERNEL, id="an unknown language"),
    pytest.param(f"[Mon Feb 30 18:45:27 2026] {INVOKED}", KERNEL, id="no such day"),
    pytest.param(f"[Nov28 18:45] {INVOKED}", {**KERNEL, **local(11, 28, 18, 45)}, id="dmesg -e: a minute begins"),
    pytest.param(f"[11月28 18:45] {INVOKED}", {**KERNEL, **local(11, 28, 18, 45)}, id="dmesg -e: zh_CN"),
    pytest.param(f"[  +0.000049] {INVOKED}", KERNEL, id="dmesg -e"),
    pytest.param(f"[  +0,000049] {INVOKED}", KERNEL, id="dmesg -e: de_DE"),
    pytest.param(
        f"2026-11-28T18:45:27,381001+08:00 {INVOKED}",
        {**KERNEL, "time": datetime(2026, 11, 28, 18, 45, 27, 381001, tzinfo=EAST)},
        id="dmesg --time-format iso",
    ),
    pytest.param(f"kern  :warn  : 2026-11-28T18:45:27,000000+08:00 {INVOKED}", {**KERNEL, **KNOWN}, id="dmesg -x, iso"),
    pytest.param(f"Nov 28 18:45:27 worker-1 kernel: {INVOKED}", {**KERNEL, **LOCAL, **HOST}, id="journalctl short"),
    pytest.param(
        f"Apr  1 16:22:07 worker-1 kernel: {INVOKED}", {**KERNEL, **HOST, **local(4, 1, 16, 22, 7)}, id="rsyslog"
    ),
    pytest.param(
        f"Apr  1 16:22:07 worker-1 kernel: [ 9485.381001] {INVOKED}",
        {**KERNEL, **HOST, **local(4, 1, 16, 22, 7), "uptime_seconds": 9485.381001},
        id="rsyslog with the kernel's stamp",
    ),
    pytest.param(
        f"Apr  1 16:22:07 worker-1 kern.warn kernel: [ 9485.381001] {INVOKED}",
        {**KERNEL, **HOST, **local(4, 1, 16, 22, 7), "uptime_seconds": 9485.381001},
        id="busybox syslogd",
    ),
    pytest.param(
        f"4月 01 18:45:27 worker-1 kernel: {INVOKED}", {**KERNEL, **HOST, **local(4, 1, 18, 45, 27)}, id="short: zh_CN"
    ),
    pytest.param(
        f" 4月 01 18:45:27 worker-1 kernel: {INVOKED}", {**KERNEL, **HOST, **local(4, 1, 18, 45, 27)}, id="short: ja_JP"
    ),
    pytest.param(
        f"avril 01 18:45:27 worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, **local(4, 1, 18, 45, 27)},
        id="short: fr_FR",
    ),
    pytest.param(f"Xyz 01 18:45:27 worker-1 kernel: {INVOKED}", {**KERNEL, **HOST}, id="short: an unknown language"),
    pytest.param(
        f"Nov 28 18:45:27.381001 worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, **local(11, 28, 18, 45, 27, 381001)},
        id="journalctl short-precise",
    ),
    pytest.param(
        f"node-a.example Nov 28 18:45:27.381001 worker-1 kernel: {INVOKED}",
        {**KERNEL, "host": "node-a.example", **local(11, 28, 18, 45, 27, 381001)},
        id="oc adm node-logs of several nodes",
    ),
    pytest.param(f"2026-11-28T18:45:27+0800 worker-1 kernel: {INVOKED}", {**KERNEL, **KNOWN, **HOST}, id="short-iso"),
    pytest.param(
        f"2026-11-28T18:45:27+08:00 worker-1 kernel: {INVOKED}", {**KERNEL, **KNOWN, **HOST}, id="newer short-iso"
    ),
    pytest.param(
        f"2026-11-28T18:45:27.381370+0800 worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, "time": datetime(2026, 11, 28, 18, 45, 27, 381370, tzinfo=EAST)},
        id="short-iso-precise",
    ),
    pytest.param(
        f"2026-11-27T10:00:00.123456+00:00 worker-1 kernel: [   12.300000] {INVOKED}",
        {**KERNEL, **HOST, "time": datetime(2026, 11, 27, 10, 0, 0, 123456, tzinfo=UTC), "uptime_seconds": 12.3},
        id="rsyslog ISO",
    ),
    pytest.param(
        f"Sat 2026-11-28 18:45:27 CST worker-1 kernel: {INVOKED}", {**KERNEL, **LOCAL, **HOST}, id="short-full"
    ),
    pytest.param(
        f"Sat 2026-11-28 18:45:27 UTC worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, "time": datetime(2026, 11, 28, 18, 45, 27, tzinfo=UTC)},
        id="short-full: UTC",
    ),
    pytest.param(
        f"1554106927.381370 worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, "time": datetime(2019, 4, 1, 8, 22, 7, 381370, tzinfo=UTC)},
        id="short-unix",
    ),
    pytest.param(
        f"[ 9485.381001] worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, "uptime_seconds": 9485.381001},
        id="short-monotonic",
    ),
    pytest.param(
        f"[ 9485.381002 <    0.000001 >] worker-1 kernel: {INVOKED}",
        {**KERNEL, **HOST, "uptime_seconds": 9485.381002},
        id="short-delta",
    ),
    pytest.param(
        "[    1.000000] usb 1-1: new high-speed USB device",
        {"text": "usb 1-1: new high-speed USB device", "writer": Writer.KERNEL, "uptime_seconds": 1.0},
        id="dmesg: two words and a colon are no host and program",
    ),
    pytest.param(INVOKED, {"text": INVOKED}, id="journalctl cat"),
    pytest.param(
        "Nov 28 18:45:27 worker-1 systemd[1]: kernel: Killed process 1 (x)",
        {"text": "kernel: Killed process 1 (x)", "writer": Writer.OTHER, **HOST, **LOCAL},
        id="another program says what the kernel would say",
    ),
    pytest.param(
        "Nov 28 18:45:27 worker-1 last message repeated 3 times",
        {"text": "last message repeated 3 times", "writer": Writer.OTHER, **HOST, **LOCAL},
        id="no program",
    ),
    pytest.param(
        "-- Boot 3ab0c5d14c0e4d6f9d1f1c1f3f5a7e10 --",
        {"text": "-- Boot 3ab0c5d14c0e4d6f9d1f1c1f3f5a7e10 --", "writer": Writer.OTHER},
        id="journalctl's own remark",
    ),
    pytest.param(
        f"I1128 18:45:27.381370    1234 manager.go:1242] {EVENT}",
        {"text": EVENT, "writer": Writer.KUBELET, **local(11, 28, 18, 45, 27, 381370)},
        id="klog",
    ),
    pytest.param(
        f"Nov 28 18:45:27 worker-1 kubelet[1234]: I1128 18:45:27.381370    1234 manager.go:1242] {EVENT}",
        {"text": EVENT, "writer": Writer.KUBELET, **HOST, **local(11, 28, 18, 45, 27, 381370)},
        id="klog in a journal",
    ),
    pytest.param(
        f"2026-11-28T18:45:28+0800 worker-1 kubelet[1234]: I1128 18:45:27.381370    1234 manager.go:1242] {EVENT}",
        {"text": EVENT, "writer": Writer.KUBELET, **HOST, "time": datetime(2026, 11, 28, 18, 45, 28, tzinfo=EAST)},
        id="the journal tells klog's zone",
    ),
    pytest.param(
        'E1128 18:45:27.000000    1234 pod_workers.go:951] "Error syncing pod, skipping" err="x" pod="default/web"',
        {"text": '"Error syncing pod, skipping" err="x" pod="default/web"', "writer": Writer.KUBELET, **LOCAL},
        id="structured klog",
    ),
    pytest.param(
        f"Nov 28 18:45:27 worker-1 k3s[900]: I1128 18:45:27.000000     900 manager.go:1242] {EVENT}",
        {"text": EVENT, "writer": Writer.KUBELET, **HOST, **LOCAL},
        id="k3s",
    ),
    pytest.param(
        '{"ts":1554106927381.37,"caller":"x.go:1","v":0,"msg":"Got sys oom event"}',
        {
            "text": '{"ts":1554106927381.37,"caller":"x.go:1","v":0,"msg":"Got sys oom event"}',
            "writer": Writer.KUBELET,
            "time": datetime(2019, 4, 1, 8, 22, 7, 381370, tzinfo=UTC),
        },
        id="the kubelet's JSON",
    ),
    pytest.param(f'time="2026-11-28T18:45:27+08:00" {LOGRUS}', {"text": LOGRUS, **KNOWN}, id="logrus"),
    pytest.param(
        f'time="2026-11-28T10:45:27.123456789Z" {LOGRUS}',
        {"text": LOGRUS, "time": datetime(2026, 11, 28, 10, 45, 27, 123456, tzinfo=UTC)},
        id="logrus: nanoseconds",
    ),
    pytest.param(
        f'time="2026-11-28 10:45:27.123456789Z" {LOGRUS}',
        {"text": LOGRUS, "time": datetime(2026, 11, 28, 10, 45, 27, 123456, tzinfo=UTC)},
        id="CRI-O",
    ),
    pytest.param(
        f'Nov 28 18:45:28 worker-1 dockerd[900]: time="2026-11-28T18:45:27+08:00" {LOGRUS}',
        {"text": LOGRUS, "writer": Writer.DOCKER, **KNOWN, **HOST},
        id="logrus in a journal",
    ),
    pytest.param(
        "Nov 28 18:45:27 worker-1 conmon[901]: conmon 8f3 <ninfo>: OOM received",
        {"text": "conmon 8f3 <ninfo>: OOM received", "writer": Writer.CRIO, **LOCAL, **HOST},
        id="conmon",
    ),
    pytest.param(
        "Nov 28 18:45:27 worker-1 docker/8f3a[900]: dockerd: TaskOOM event",
        {"text": "dockerd: TaskOOM event", "writer": Writer.OTHER, **LOCAL, **HOST},
        id="a container's output, logged by docker",
    ),
    pytest.param(
        f"2026-11-28T10:45:28.123456789Z stderr F I1128 18:45:27.381370       1 manager.go:1242] {EVENT}",
        {"text": EVENT, "writer": Writer.KUBELET, "time": datetime(2026, 11, 28, 10, 45, 28, 123456, tzinfo=UTC)},
        id="CRI container log",
    ),
    pytest.param(
        '{"log":"I1128 18:45:27.381370       1 manager.go:1242] Got sys oom event\\n","stream":"stderr",'
        '"time":"2026-11-28T10:45:28.5Z"}',
        {
            "text": "Got sys oom event",
            "writer": Writer.KUBELET,
            "time": datetime(2026, 11, 28, 10, 45, 28, 500000, tzinfo=UTC),
        },
        id="docker json-file",
    ),
    pytest.param(
        f"2026-11-29T09:00:00.5Z stdout F [ 9485.381001] {INVOKED}",
        {**KERNEL, "uptime_seconds": 9485.381001},
        id="a dmesg printed in a container long after",
    ),
    pytest.param(
        f"2026-11-29T09:00:00.5Z stdout F [Sat Nov 28 18:45:27 2026] {INVOKED}",
        {**KERNEL, **LOCAL},
        id="dmesg -T printed in a container",
    ),
    pytest.param(
        f"2026-11-29T09:00:00.5Z Nov 28 18:45:27 worker-1 kernel: {INVOKED}",
        {**KERNEL, **LOCAL, **HOST},
        id="kubectl logs --timestamps of journalctl",
    ),
    pytest.param(
        f"[pod/debug/dmesg] [ 9485.381001] {INVOKED}",
        {**KERNEL, "uptime_seconds": 9485.381001},
        id="kubectl logs --prefix",
    ),
    pytest.param(
        f"2026-11-29T09:00:00Z {INVOKED.split(':')[0]}",
        {"text": INVOKED.split(":")[0], "time": datetime(2026, 11, 29, 9, tzinfo=UTC)},
        id="only a time",
    ),
    pytest.param(f"[ 9485.381001] \x1b[31m{INVOKED}\x1b[0m", {**KERNEL, "uptime_seconds": 9485.381001}, id="colours"),
    pytest.param(f"[ 9485.381001] {INVOKED}\r\n", {**KERNEL, "uptime_seconds": 9485.381001}, id="CRLF"),
    pytest.param(f"\0\0\0[ 9485.381001] {INVOKED}", {**KERNEL, "uptime_seconds": 9485.381001}, id="NUL after a crash"),
    pytest.param(
        b"[ 1.000000] a\xff\xfeb",
        {"text": "a\ufffd\ufffdb", "writer": Writer.KERNEL, "uptime_seconds": 1.0},
        id="no UTF-8",
    ),
    pytest.param("", {"text": ""}, id="nothing"),
]


@pytest.mark.parametrize(("raw", "expected"), LINES)
def test_a_line(raw: bytes | str, expected: dict[str, object]) -> None:
    assert decode(raw) == LogLine(**expected)  # type: ignore[arg-type]


JOURNAL: dict[str, object] = {
    "_TRANSPORT": "kernel",
    "SYSLOG_FACILITY": "0",
    "SYSLOG_IDENTIFIER": "kernel",
    "__REALTIME_TIMESTAMP": "1554106927381370",
    "__MONOTONIC_TIMESTAMP": "9485381370",
    "_SOURCE_MONOTONIC_TIMESTAMP": "9485381001",
    "_HOSTNAME": "worker-1",
    "MESSAGE": INVOKED,
}
ENTRY: dict[str, object] = {
    **KERNEL,
    **HOST,
    "time": datetime(2019, 4, 1, 8, 22, 7, 381370, tzinfo=UTC),
    "uptime_seconds": 9485.381001,
}


def journal(**fields: object) -> str:
    return json.dumps(JOURNAL | fields)


def pretty(**fields: object) -> str:
    """As systemd 252: a tab before each field, spaces around the colon."""
    return json.dumps(JOURNAL | fields, indent="\t", separators=(",", " : ")) + "\n"


def exported(fields: dict[str, bytes]) -> bytes:
    """https://systemd.io/JOURNAL_EXPORT_FORMATS/"""
    binary = (b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(text)), text) for name, text in fields.items())
    plain = (b"%s=%s\n" % (name.encode(), text) for name, text in fields.items())
    return b"".join(
        two if b"\n" in text else one for one, two, text in zip(plain, binary, fields.values(), strict=True)
    )


EXPORTED = {"__CURSOR": b"s=1", **{name: str(value).encode() for name, value in JOURNAL.items()}}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(journal(), id="json"),
        pytest.param("data: " + journal(), id="json-sse"),
        pytest.param("\x1e" + journal(), id="json-seq"),
        pytest.param(journal(MESSAGE=list(INVOKED.encode())), id="json: bytes"),
        pytest.param(journal(MESSAGE=[INVOKED, "again"]), id="json: twice"),
        pytest.param(pretty(), id="json-pretty"),
        pytest.param(pretty(MESSAGE=list(INVOKED.encode())), id="json-pretty: bytes"),
        pytest.param(exported(EXPORTED), id="export"),
    ],
)
def test_a_journal_entry(raw: bytes | str) -> None:
    assert decode(raw) == LogLine(**ENTRY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "writer"),
    [
        ({}, Writer.KERNEL),
        ({"SYSLOG_IDENTIFIER": "systemd", "SYSLOG_FACILITY": "3"}, Writer.OTHER),
        ({"_TRANSPORT": "syslog"}, Writer.OTHER),
        ({"_TRANSPORT": "stdout", "SYSLOG_IDENTIFIER": "kubelet"}, Writer.KUBELET),
        ({"_TRANSPORT": "stdout", "SYSLOG_IDENTIFIER": "", "_SYSTEMD_UNIT": "crio.service"}, Writer.CRIO),
    ],
)
def test_whose_a_journal_entry_is(fields: dict[str, str], writer: Writer) -> None:
    """Anybody may call himself kernel; the transport is journald's own word."""
    assert decode(journal(**fields)).writer is writer


def test_a_message_of_several_lines() -> None:
    message = b"active_anon:1\n active_file:3"
    for raw in (journal(MESSAGE=message.decode()).encode(), exported(EXPORTED | {"MESSAGE": message})):
        lines = LineDecoder(now=NOW).lines(raw, 7, framing_of(raw))
        assert [(line.text, line.number, line.writer) for line in lines] == [
            ("active_anon:1", 7, Writer.KERNEL),
            (" active_file:3", 7, Writer.KERNEL),
        ]


@pytest.mark.parametrize("message", [b"\n\n", b"x" * 70_000 + b"\n", b"\xff\n"])
def test_an_export_entry_with_any_binary_field(message: bytes) -> None:
    raw = exported({"__CURSOR": b"1", "__SEQNUM": b"1", "COREDUMP": message, **EXPORTED})
    assert decode(raw) == LogLine(**ENTRY)  # type: ignore[arg-type]


DMESG_JSON = b"""{
   "dmesg": [
      {
         "pri": 4,
         "time":  9485.381001,
         "msg": "exe invoked \\"oom-killer\\""
      },{
         "pri": 30,
         "time":  9486.000001,
         "msg": "systemd[1]: Started"
      }
   ]
}
"""


def test_dmesg_json() -> None:
    framing = framing_of(DMESG_JSON)
    assert framing is Framing.DMESG_JSON
    decoder = LineDecoder(now=NOW)
    lines = [line for entry in DMESG_JSON.split(framing.separator) for line in decoder.lines(entry, 0, framing)]
    assert lines == [
        LogLine('exe invoked "oom-killer"', Writer.KERNEL, uptime_seconds=9485.381001),
        LogLine("systemd[1]: Started", Writer.OTHER, uptime_seconds=9486.000001),
    ]


def test_a_line_without_a_head_goes_on_where_the_one_before_it_ended() -> None:
    decoder = LineDecoder("messages", now=NOW)
    (first,) = decoder.lines(b"Nov 28 18:45:27 worker-1 kernel: active_anon:1", 4)
    (second,) = decoder.lines(b"                                 active_file:3", 5)
    (later,) = decoder.lines(b"                                 active_file:3", 8)
    assert (second.writer, second.time, second.number) == (Writer.KERNEL, first.time, 5)
    assert (later.writer, later.time) == (Writer.UNKNOWN, None)


def test_every_line_of_short_monotonic_names_its_program_once_one_has() -> None:
    decoder = LineDecoder(now=NOW)
    (kernel,) = decoder.lines(b"[    1.000000] worker-1 kernel: x")
    (other,) = decoder.lines(b"[    2.000000] worker-1 sshd[7]: Killed process 1 (x)")
    assert (kernel.writer, other.writer, other.host) == (Writer.KERNEL, Writer.OTHER, "worker-1")


@pytest.mark.parametrize(
    ("now", "year"),
    [
        (datetime(2026, 11, 28, 12, tzinfo=UTC), 2026),  # the node's clock shows a later zone's time
        (datetime(2026, 11, 27, 12, tzinfo=UTC), 2025),
        (datetime(2027, 1, 1, tzinfo=UTC), 2026),
    ],
)
def test_a_year_that_is_not_told(now: datetime, year: int) -> None:
    assert decode("Nov 28 18:45:27 worker-1 kernel: x", now).time == datetime(year, 11, 28, 18, 45, 27, tzinfo=UTC)


def test_a_leap_day_without_a_year() -> None:
    line = decode("Feb 29 18:45:27 worker-1 kernel: x", datetime(2027, 6, 1, tzinfo=UTC))
    assert line.time == datetime(2024, 2, 29, 18, 45, 27, tzinfo=UTC)


def test_a_program_s_year_is_that_of_the_time_around_it() -> None:
    line = decode("2019-04-01T08:22:08Z stderr F I0401 09:00:00.000000       1 x.go:1] x")
    assert line.time == datetime(2019, 4, 1, 9, tzinfo=UTC)
    assert not line.zone_known


def test_whose_log_it_is_counts_where_lines_do_not_say() -> None:
    assert decode(f'time="2026-11-28T18:45:27+08:00" {LOGRUS}', writer=Writer.DOCKER).writer is Writer.DOCKER
    assert decode("Nov 28 18:45:27 worker-1 sshd[7]: x", writer=Writer.DOCKER).writer is Writer.OTHER


@pytest.mark.parametrize(
    ("program", "writer"),
    [
        ("kernel", Writer.KERNEL),
        ("kubelet", Writer.KUBELET),
        ("kubelet.service", Writer.KUBELET),
        ("microk8s.daemon-kubelite", Writer.KUBELET),
        ("rke2-server", Writer.KUBELET),
        ("docker-containerd", Writer.CONTAINERD),
        ("containerd", Writer.CONTAINERD),
        ("dockerd-current", Writer.DOCKER),
        ("cri-dockerd", Writer.DOCKER),
        ("crio", Writer.CRIO),
        ("docker/0123456789ab", Writer.OTHER),
        ("kernel-monitor", Writer.OTHER),
        ("sshd", Writer.OTHER),
    ],
)
def test_whose_program(program: str, writer: Writer) -> None:
    assert writer_of_program(program) is writer


@pytest.mark.parametrize(
    ("path", "writer"),
    [
        ("sos_commands/kernel/dmesg", Writer.KERNEL),
        ("nodes/worker-1/worker-1_logs_kubelet.gz", Writer.KUBELET),
        ("sos_commands/crio/journalctl_--no-pager_--unit_crio", Writer.CRIO),
        ("logs\\dockerd.log", Writer.DOCKER),
        ("var/log/containerd.log", Writer.CONTAINERD),
        ("kubelet/messages", Writer.UNKNOWN),
        ("var/log/syslog", Writer.UNKNOWN),
    ],
)
def test_whose_file(path: str, writer: Writer) -> None:
    assert writer_of_file(path) is writer


def test_an_entry_that_is_too_long_is_cut() -> None:
    assert len(shortened(b"x" * LONGEST_ENTRY)) == LONGEST_ENTRY
    assert len(shortened(b"x" * (LONGEST_ENTRY + 1))) == KEPT_OF_LONGER


PARTS: list[Any] = [line.values[0] for line in LINES] + [
    journal(),
    "Nov 28 18:45:27 ",
    "[",
    "time=",
    "2026-11-28T18:45:27",
    "a " * 300,
]


@given(
    st.lists(
        st.sampled_from([part if isinstance(part, bytes) else part.encode() for part in PARTS]) | st.binary(max_size=40)
    ),
    st.sampled_from(list(Framing)),
)
def test_no_bytes_break_it(parts: list[bytes], framing: Framing) -> None:
    decoder = LineDecoder(now=NOW)
    for number, entry in enumerate(parts, 1):
        for text in (entry, b"".join(parts[:number])):
            for line in decoder.lines(text, number, framing):
                assert line.time is None or line.time.tzinfo is not None
                assert "\n" not in line.text
