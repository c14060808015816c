"""Lines of node logs, as programs and carriers write them -> LogLine: whose words they are, and when they were said.

A line is peeled from the outside in: what a container engine or a collector put around it, then journal, syslog or
dmesg, then the program's own head (klog, logrus). Each layer is known by its own shape, so that a file may change its
format in the middle. Journal entries and dmesg's JSON stand on several lines: `Framing` says where one ends.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.log_times import (
    CLOCK,
    ISO_DATE,
    NOT_TOLD,
    Moment,
    ctime,
    differ_by_zone,
    iso_moment,
    moment,
    moment_without_year,
    month_of,
    since_epoch,
)

LONGEST_ENTRY = 1 << 20
"""Bytes. What is longer is cut to its first KEPT_OF_LONGER."""
KEPT_OF_LONGER = 64 << 10


class Framing(Enum):
    """Where one entry of a log ends: `separator`, of which the first `ours` bytes belong to the entry before it."""

    LINES = (b"\n", 1)
    EXPORT = (b"\n\n__", 2)
    """journalctl -o export: https://systemd.io/JOURNAL_EXPORT_FORMATS/. Each entry begins with a field of the
    journal's own; binary fields may hold empty lines."""
    PRETTY_JSON = (b"\n}\n", 3)
    """journalctl -o json-pretty."""
    DMESG_JSON = (b"\n      },{\n", 10)
    """dmesg --json: one object around all lines."""

    def __init__(self, separator: bytes, ours: int) -> None:
        self.separator = separator
        self.ours = ours


_FRAMINGS = (
    (re.compile(rb"\s{0,16}__[A-Z_]{1,64}=\S{0,2048}\n__?[A-Z_]{1,64}="), Framing.EXPORT),
    (re.compile(rb'\s{0,16}\{\n\t"'), Framing.PRETTY_JSON),
    (re.compile(rb'\s{0,16}\{\s{1,8}"dmesg": ?\[\s'), Framing.DMESG_JSON),
)


def framing_of(head: bytes) -> Framing:
    """By the first bytes of a log."""
    return next((framing for shape, framing in _FRAMINGS if shape.match(head)), Framing.LINES)


def shortened(entry: bytes) -> bytes:
    """An entry that is over LONGEST_ENTRY, cut."""
    return entry[:KEPT_OF_LONGER] if len(entry) > LONGEST_ENTRY else entry


class _Inside(Enum):
    """What may be within a layer."""

    ANYTHING = auto()
    PROGRAM = auto()
    """The head that a program writes by itself."""
    KERNEL = auto()
    """What printk and dmesg put before the kernel's words."""
    NOTHING = auto()


class _Layer(Struct, frozen=True):
    """`name` is the format's, `rest` what is within."""

    name: str
    rest: str
    inside: _Inside
    said: Moment = NOT_TOLD
    uptime: float | None = None
    host: str = ""
    writer: Writer = Writer.UNKNOWN
    program: bool = False
    """It names the program, so that not every line around is the same one's."""
    carrier: bool = False
    """Its time is when the line was carried, not when it was said."""


JOURNAL_ENTRIES = "journal entries"
"""The format of journalctl's json and export."""
MOST_LAYERS = 5
_ANSI = re.compile(r"\x1b\[[0-9;?]{0,32}[A-Za-z]")


class LineDecoder:
    """The entries of one log. Keeps what the last one told, for lines that go on without a head of their own.

    `now` (aware) settles the year where lines name none. `writer` is whose log it is, for lines that name none.
    """

    def __init__(self, file: str = "", *, now: datetime, writer: Writer = Writer.UNKNOWN) -> None:
        self.layers: tuple[str, ...] = ()
        """The formats around the last entry, outermost first; () where none is known."""
        self.names_programs = False
        """Whether one of them names the program."""
        self._file = file
        self._now = now
        self._writer = writer
        self._last: LogLine | None = None
        self._monotonic_host = ""

    def lines(self, entry: bytes, number: int = 0, framing: Framing = Framing.LINES) -> tuple[LogLine, ...]:
        """One entry -> its lines: more than one where a message has several. `number` is that of its first line."""
        if framing is Framing.EXPORT:
            return self._message(_journal(_exported_fields(entry)), number)
        text = _cleaned(entry.decode("utf-8", "replace"))
        if framing is Framing.DMESG_JSON:
            return self._message(_dmesg_json(text), number)
        if framing is Framing.PRETTY_JSON:
            return self._message(_json_layer(text), number)
        return self._peeled([], text, number)

    def _message(self, layer: _Layer | None, number: int) -> tuple[LogLine, ...]:
        """Of a structured entry; one that cannot be read has no text."""
        return self._peeled([layer] if layer else [], layer.rest if layer else "", number)

    def _peeled(self, layers: list[_Layer], text: str, number: int) -> tuple[LogLine, ...]:
        first, *more = text.split("\n")
        inside = layers[-1].inside if layers else _Inside.ANYTHING
        while len(layers) < MOST_LAYERS and inside is not _Inside.NOTHING:
            layer = self._layer(first, inside, _told(layers) or self._now)
            if layer is None:
                break
            layers.append(layer)
            inside = layer.inside
            first, *inner = layer.rest.split("\n")
            more = inner + more
        line = self._line(layers, first.rstrip(), number)
        self._last = line
        return (line, *(replace(line, text=entry.rstrip()) for entry in more if entry.strip()))

    def _line(self, layers: Sequence[_Layer], text: str, number: int) -> LogLine:
        self.layers = tuple(layer.name for layer in layers)
        last = self._last
        if not layers and last is not None and number and number == last.number + 1:
            return replace(last, text=text, number=number)
        self.names_programs = any(layer.program for layer in layers)
        said = _combined(layers)
        return LogLine(
            text=text,
            writer=next((layer.writer for layer in layers if layer.writer), self._writer),
            file=self._file,
            number=number,
            time=said.time,
            zone_known=said.zone_known,
            uptime_seconds=next((layer.uptime for layer in layers if layer.uptime is not None), None),
            host=next((layer.host for layer in layers if layer.host), ""),
        )

    def _layer(self, text: str, inside: _Inside, reference: datetime) -> _Layer | None:
        if inside is _Inside.PROGRAM:
            return _program_head(text, reference)
        if inside is _Inside.KERNEL:
            return _kernel_head(text, reference)
        start = text[:1]
        if start == "[":
            return self._bracketed(text, reference)
        if start == "<":
            return _printk_level(text)
        if start.isdigit():
            return _dated(text) or _month_dated(text, reference)
        if start == " ":
            return _month_dated(text, reference)
        return _program_head(text, reference) or _worded(text, reference)

    def _bracketed(self, text: str, reference: datetime) -> _Layer | None:
        """dmesg's times and journalctl's short-monotonic look alike; the second names host and program."""
        layer = _kernel_head(text, reference)
        if layer is None:
            return _pod_prefix(text)
        named = _named("journalctl short-monotonic", layer.rest, NOT_TOLD)
        if layer.uptime is None or named is None or not named.program:
            return layer
        if named.writer is Writer.OTHER and named.host != self._monotonic_host:
            return layer
        self._monotonic_host = named.host
        return replace(named, uptime=layer.uptime)


def _told(layers: Sequence[_Layer]) -> datetime | None:
    return next((layer.said.time for layer in reversed(layers) if layer.said.time is not None), None)


def _combined(layers: Sequence[_Layer]) -> Moment:
    """The innermost time is when it was said, and the time around a klog line tells its zone. What carried a log says
    nothing of when: it may have been printed long after."""
    outer: _Layer | None = None
    for layer in layers:
        if layer.said.time is not None:
            outer = outer if outer and _tells_zone(outer, layer) else layer
        elif layer.uptime is not None and outer and outer.carrier:
            outer = None
    return outer.said if outer else NOT_TOLD


_DELIVERY_SECONDS = 60
_CARRIER_DELIVERY_SECONDS = 2
"""Within which a journal or a container engine takes over a line: the less, the less likely is it by chance."""


def _tells_zone(outer: _Layer, inner: _Layer) -> bool:
    if inner.name != "klog" or outer.said.time is None or inner.said.time is None or not outer.said.zone_known:
        return False
    within = _CARRIER_DELIVERY_SECONDS if outer.carrier else _DELIVERY_SECONDS
    return differ_by_zone(outer.said.time, inner.said.time, within)


def _cleaned(text: str) -> str:
    """Without colours, without NUL (what a crash leaves in a file) and without the line's end."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\0" in text:
        text = text.replace("\0", "")
    return text.rstrip("\r\n")


# What names a program: journal and syslog

_PROGRAMS = (
    (Writer.KERNEL, re.compile(r"kernel$")),
    (Writer.KUBELET, re.compile(r"(?:[\w.-]{1,64}[.-])?(?:kubelet|kubelite)\b")),
    # One process with the kubelet in it.
    (Writer.KUBELET, re.compile(r"(?:hyperkube|k3s(?:-agent)?|rke2(?:-agent|-server)?|k0s(?:worker)?)$")),
    (Writer.CONTAINERD, re.compile(r"(?:[\w.-]{1,64}[.-])?containerd\b")),
    (Writer.CRIO, re.compile(r"(?:crio|cri-o|conmon)$")),
    (Writer.DOCKER, re.compile(r"(?:docker|dockerd)(?:-current)?$|cri-dockerd?$")),
)


@lru_cache(maxsize=512)
def writer_of_program(program: str) -> Writer:
    """By the name under which it logs, or its unit's. docker's own log driver calls a container `docker/ID`."""
    name = program.lower().removesuffix(".service")
    if "/" in name:
        return Writer.OTHER
    return next((writer for writer, shape in _PROGRAMS if shape.match(name)), Writer.OTHER)


_FILES = (
    (Writer.KERNEL, re.compile(r"(?:^|[^a-z])(?:dmesg|kmsg)(?:$|[^a-z])")),
    (Writer.KUBELET, re.compile(r"kubelet")),
    (Writer.CONTAINERD, re.compile(r"containerd")),
    (Writer.CRIO, re.compile(r"(?:^|[^a-z])cri-?o(?:$|[^a-z])")),
    (Writer.DOCKER, re.compile(r"(?:^|[^a-z])(?:cri-?)?dockerd?(?:$|[^a-z])")),
)


def writer_of_file(path: str) -> Writer:
    """By the last part of its name; UNKNOWN where that says nothing."""
    name = path.replace("\\", "/").rpartition("/")[2].lower()
    return next((writer for writer, shape in _FILES if shape.search(name)), Writer.UNKNOWN)


_PROGRAM = re.compile(
    r"(?P<host>\S{1,255}) (?:[a-z]{1,8}\d?\.[a-z]{1,8} )?"
    r"(?P<program>[^\s:\[\]]{1,255})(?:\[[^\]\s]{1,20}\])?:(?: (?P<rest>.*))?$",
    re.DOTALL,
)
"""busybox's syslogd writes facility and level before the program: `host kern.warn kernel: text`."""
_HOST = re.compile(r"(?P<host>\S{1,255}) (?P<rest>.*)$", re.DOTALL)


def _named(name: str, text: str, said: Moment) -> _Layer | None:
    """`host program[pid]: text`."""
    found = _PROGRAM.match(text)
    if found:
        writer = writer_of_program(found["program"])
        return _Layer(name, found["rest"] or "", _inside(writer), said, None, found["host"], writer, program=True)
    found = _HOST.match(text)
    if found is None:
        return None
    return _Layer(name, found["rest"], _Inside.NOTHING, said, None, found["host"], Writer.OTHER)


def _inside(writer: Writer) -> _Inside:
    if writer is Writer.KERNEL:
        return _Inside.KERNEL
    return _Inside.NOTHING if writer is Writer.OTHER else _Inside.PROGRAM


_MONTH_DATE = re.compile(
    r" ?(?:(?P<node>\S{1,255}) )?(?P<month>[^\W\d_]{1,12}\.?|\d{1,2}[月월]) {1,2}(?P<day>\d{1,2}) "
    rf"{CLOCK} (?P<rest>.*)$",
    re.DOTALL,
)
"""rsyslog's traditional form, journalctl's short and short-precise. `oc adm node-logs` of several nodes puts the node's
name first. Some languages pad the month to two digits."""


def _month_dated(text: str, reference: datetime) -> _Layer | None:
    found = _MONTH_DATE.match(text)
    if found is None:
        return None
    said = moment_without_year(month_of(found["month"]), int(found["day"]), found, reference)
    layer = _named("syslog", found["rest"], said)
    return replace(layer, host=found["node"]) if layer and found["node"] else layer


_FULL_DATE = re.compile(
    rf"\S{{1,16}} (?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d) {CLOCK} "
    r"(?P<zone>[A-Za-z0-9+:-]{1,10}) (?P<rest>.*)$",
    re.DOTALL,
)
"""journalctl -o short-full and with-unit."""
_REMARK = re.compile(r"-- .{1,200} --$")
"""journalctl's own: boots, where the journal begins."""
_FACILITY = re.compile(r"(?P<facility>[a-z]{1,8}) *:[a-z]{1,8} *: ?(?P<rest>.*)$", re.DOTALL)
"""dmesg --decode."""


def _worded(text: str, reference: datetime) -> _Layer | None:
    """What begins with a word: a weekday, a month, one of dmesg's facilities."""
    if text.startswith("-- "):
        return _Layer("journalctl", text, _Inside.NOTHING, writer=Writer.OTHER) if _REMARK.match(text) else None
    found = _FACILITY.match(text)
    if found and found["facility"] in _FACILITIES:
        return _of_facility("dmesg --decode", _FACILITIES.index(found["facility"]), found["rest"])
    found = _FULL_DATE.match(text)
    if found:
        return _named("journalctl short-full", found["rest"], moment(found, found["zone"]))
    return _month_dated(text, reference)


# What begins with digits

_ISO = re.compile(rf"{ISO_DATE} (?P<rest>.*)$", re.DOTALL)
_UNIX = re.compile(r"(?P<seconds>\d{9,11})\.(?P<micros>\d{6}) (?P<rest>.*)$", re.DOTALL)
_KMSG = re.compile(r"(?P<level>\d{1,4}),\d{1,20},(?P<micros>\d{1,17}),[^;]{0,200};(?P<rest>.*)$", re.DOTALL)
"""https://github.com/torvalds/linux/blob/v6.12/Documentation/ABI/testing/dev-kmsg"""
_CRI_STREAM = re.compile(r"std(?:out|err) (?:[FP](?::\S{1,64})?) (?P<rest>.*)$", re.DOTALL)
"""https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md"""
_HEAD_INSIDE = re.compile(r"[\[{<]|[IWEF]\d{4} \d\d:|time=")


def _dated(text: str) -> _Layer | None:
    found = _ISO.match(text)
    if found:
        return _iso_dated(found)
    found = _UNIX.match(text)
    if found:
        said = Moment(since_epoch(int(found["seconds"]) * 10**6 + int(found["micros"])))
        return _named("journalctl short-unix", found["rest"], said)
    found = _KMSG.match(text)
    if found is None:
        return None
    layer = _of_facility("/dev/kmsg", int(found["level"]) >> 3, found["rest"])
    return replace(layer, uptime=int(found["micros"]) / 1e6, inside=_Inside.NOTHING)


def _iso_dated(found: re.Match[str]) -> _Layer | None:
    said, rest = moment(found, found["zone"] or ""), found["rest"]
    stream = _CRI_STREAM.match(rest)
    if stream:
        return _Layer("CRI container log", stream["rest"], _Inside.ANYTHING, said, carrier=True)
    if _is_dmesg_iso(found):
        return _Layer("dmesg --time-format iso", rest, _Inside.NOTHING, said, writer=Writer.KERNEL)
    named = None if _HEAD_INSIDE.match(rest) else _named("syslog (ISO)", rest, said)
    if named is not None and named.program:
        return named
    return _Layer("timestamps", rest, _Inside.ANYTHING, said, carrier=True)


def _is_dmesg_iso(found: re.Match[str]) -> bool:
    """Nothing else writes a comma between seconds and microseconds, and a zone.

    https://github.com/util-linux/util-linux/blob/v2.38.1/sys-utils/dmesg.c (iso_8601_time)
    """
    comma = found.string[found.end("second") : found.end("second") + 1] == ","
    return comma and found["between"] == "T" and len(found["fraction"] or "") == 6 and found["zone"] is not None


# The kernel's own

_FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
"""By their numbers. Only 0 is the kernel's own: any program with the right may write to /dev/kmsg."""


def _of_facility(name: str, facility: int, rest: str) -> _Layer:
    return _Layer(name, rest, _Inside.KERNEL, writer=Writer.OTHER if facility else Writer.KERNEL)


_PRINTK_LEVEL = re.compile(r"<(?P<level>\d{1,3})>(?P<rest>.*)$", re.DOTALL)


def _printk_level(text: str) -> _Layer | None:
    found = _PRINTK_LEVEL.match(text)
    return _of_facility("dmesg --raw", int(found["level"]) >> 3, found["rest"]) if found else None


_AFTER_STAMP = r"(?: *<[ \d.,]{1,24}>)? *\](?: ?\[ *[TC]\d{1,10}\])? ?(?P<rest>.*)$"
"""How much later than the line before (dmesg --show-delta), and the caller's thread or processor (PRINTK_CALLER)."""
_UPTIME = re.compile(r"\[ *(?P<seconds>\d{1,10}\.\d{6})" + _AFTER_STAMP, re.DOTALL)
_CTIME = re.compile(r"\[(?P<stamp>[^\[\]<>]{8,80})" + _AFTER_STAMP, re.DOTALL)
_RELATIVE = re.compile(r"\[ *\+\d{1,10}[.,]\d{6}" + _AFTER_STAMP, re.DOTALL)
_MINUTE = re.compile(
    r"\[(?P<month>[^\W\d_]{1,10}\.?|\d{1,2}[月월]) ?(?P<day>[ \d]\d) (?P<hour>\d\d):(?P<minute>\d\d)(?P<second>)"
    r"(?P<fraction>)" + _AFTER_STAMP,
    re.DOTALL,
)
"""dmesg --reltime: a whole minute where one begins, else how much later than the line before."""


def _kernel_head(text: str, reference: datetime) -> _Layer | None:
    if text[:1] == "<":
        return _printk_level(text)
    if text[:1] != "[":
        found = _ISO.match(text) if text[:1].isdigit() else None
        return _iso_dated(found) if found and _is_dmesg_iso(found) else None
    found = _UPTIME.match(text)
    if found:
        return _stamped("dmesg", found["rest"], uptime=float(found["seconds"]))
    found = _CTIME.match(text)
    said = ctime(found["stamp"]) if found else None
    if found and said:
        return _stamped("dmesg -T", found["rest"], said)
    found = _MINUTE.match(text)
    if found:
        said = moment_without_year(month_of(found["month"]), int(found["day"]), found, reference)
        return _stamped("dmesg --reltime", found["rest"], said)
    found = _RELATIVE.match(text)
    return _stamped("dmesg --reltime", found["rest"]) if found else None


def _stamped(name: str, rest: str, said: Moment = NOT_TOLD, uptime: float | None = None) -> _Layer:
    return _Layer(name, rest, _Inside.NOTHING, said, uptime, writer=Writer.KERNEL)


def _dmesg_json(text: str) -> _Layer | None:
    start, end = text.find('"pri"'), text.rfind('"')
    found = _json_object(f"{{{text[start : end + 1]}}}") if 0 <= start < end else None
    message, uptime, level = (found.get(name) for name in ("msg", "time", "pri")) if found else (None, None, None)
    if not isinstance(message, str):
        return None
    layer = _of_facility("dmesg --json", level >> 3 if isinstance(level, int) else 0, _cleaned(message))
    return replace(layer, uptime=_number(uptime), inside=_Inside.NOTHING)


# The programs' own

_KLOG = re.compile(
    rf"[IWEF](?P<month>\d\d)(?P<day>\d\d) {CLOCK} +\d{{1,10}} [^\s\]:]{{1,200}}:\d{{1,9}}\] ?(?P<rest>.*)$",
    re.DOTALL,
)
"""https://github.com/kubernetes/klog/blob/v2.130.1/klog.go (formatHeader)"""
_LOGRUS = re.compile(r'time="?(?P<time>[^\s"]{10,40}(?: [^"\s]{1,20}){0,3})"? (?P<rest>(?:level|msg)=.*)$', re.DOTALL)
"""Level, message and fields stay as https://github.com/sirupsen/logrus/blob/v1.9.3/text_formatter.go writes them."""


def _program_head(text: str, reference: datetime) -> _Layer | None:
    start = text[:1]
    if start in ("{", "\x1e") or text.startswith("data: {"):
        return _json_layer(text)
    if start == "t":
        found = _LOGRUS.match(text)
        return _Layer("logrus", found["rest"], _Inside.NOTHING, iso_moment(found["time"])) if found else None
    found = _KLOG.match(text) if start in ("I", "W", "E", "F") else None
    if found is None:
        return None
    said = moment_without_year(int(found["month"]), int(found["day"]), found, reference)
    return _Layer("klog", found["rest"], _Inside.NOTHING, said, writer=Writer.KUBELET)


# Carriers and JSON

_POD_PREFIX = re.compile(r"\[pod/[^\s\]]{1,600}\] (?P<rest>.*)$", re.DOTALL)
"""kubectl logs --prefix."""


def _pod_prefix(text: str) -> _Layer | None:
    found = _POD_PREFIX.match(text)
    return _Layer("kubectl logs --prefix", found["rest"], _Inside.ANYTHING, carrier=True) if found else None


def _json_layer(text: str) -> _Layer | None:
    """One object: the journal's, docker's json-file's, or a program's own. journalctl puts a record separator
    (json-seq) or `data: ` (json-sse) before it."""
    found = _json_object(text.removeprefix("data: ").lstrip("\x1e"))
    if found is None:
        return None
    if "MESSAGE" in found or "__REALTIME_TIMESTAMP" in found:
        return _journal(found)
    if isinstance(found.get("log"), str) and ("stream" in found or "time" in found):
        said = _json_time(found.get("time"))
        return _Layer("docker json-file", _cleaned(found["log"]), _Inside.ANYTHING, said, carrier=True)
    return _json_program(found, text) if isinstance(found.get("msg"), str) else None


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return found if isinstance(found, dict) else None


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


_EPOCH_MILLIS = 10**11
"""The kubelet has counted seconds as well as milliseconds: numbers from here on are the latter."""


def _json_time(value: Any) -> Moment:
    if isinstance(value, str):
        return iso_moment(value)
    number = _number(value)
    return Moment(since_epoch(number * (1e3 if number >= _EPOCH_MILLIS else 1e6)) if number is not None else None)


def _json_program(found: Mapping[str, Any], text: str) -> _Layer:
    """The kubelet (ts) or logrus (time, level): it stays JSON, since all its fields are the program's."""
    if "ts" in found:
        return _Layer("klog (JSON)", text, _Inside.NOTHING, _json_time(found["ts"]), writer=Writer.KUBELET)
    return _Layer("logrus (JSON)", text, _Inside.NOTHING, _json_time(found.get("time")))


def _exported_fields(entry: bytes) -> dict[str, Any]:
    """`NAME=value`, or a name, a little-endian length of 64 bits and that many bytes."""
    fields: dict[str, Any] = {}
    at = 0
    while at < len(entry):
        end = entry.find(b"\n", at)
        end = len(entry) if end < 0 else end
        name, equals, value = entry[at:end].partition(b"=")
        at = end + 1
        if not equals and name and at + 8 <= len(entry):
            (length,) = struct.unpack_from("<Q", entry, at)
            value = entry[at + 8 : at + 8 + length]
            at += 8 + length + 1
        fields.setdefault(name.decode("ascii", "replace"), value.decode("utf-8", "replace"))
    return fields


def _journal(found: Mapping[str, Any]) -> _Layer | None:
    """https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html"""
    message = _journal_text(found.get("MESSAGE"))
    if message is None:
        return None
    writer = _journal_writer(found)
    received = _micros(found.get("_SOURCE_REALTIME_TIMESTAMP")) or _micros(found.get("__REALTIME_TIMESTAMP"))
    uptime = _micros(found.get("_SOURCE_MONOTONIC_TIMESTAMP")) if writer is Writer.KERNEL else None
    return _Layer(
        JOURNAL_ENTRIES,
        _cleaned(message),
        _inside(writer),
        Moment(since_epoch(received) if received is not None else None),
        uptime / 1e6 if uptime is not None else None,
        _journal_text(found.get("_HOSTNAME")) or "",
        writer,
        program=True,
    )


def _journal_writer(found: Mapping[str, Any]) -> Writer:
    """Only what came by way of the kernel is the kernel's, and not what other programs wrote to /dev/kmsg."""
    names = (_journal_text(found.get(name)) for name in ("SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_COMM"))
    writer = writer_of_program(next(filter(None, names), ""))
    if _journal_text(found.get("_TRANSPORT")) == "kernel":
        return writer if writer is Writer.KERNEL or "SYSLOG_IDENTIFIER" in found else Writer.KERNEL
    return Writer.OTHER if writer is Writer.KERNEL and "_TRANSPORT" in found else writer


def _micros(value: Any) -> int | None:
    text = _journal_text(value) or ""
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _journal_text(value: Any) -> str | None:
    """A text, its bytes where it does not print, the first of several; null where it was too long to print."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(entry, int) and 0 <= entry < 256 for entry in value):
        return bytes(value).decode("utf-8", "replace")
    return _journal_text(value[0])
