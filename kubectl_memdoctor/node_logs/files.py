"""What people have of a node: files, folders of them, standard input -> logs to be read, in the order of time.

Of a folder (sosreport, must-gather, a node's /var/log) all that looks like a log of a node is read, whatever it is
called; the rest is passed over and counted. What cannot be opened costs one line.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.node_logs.prefilter import BLOCK_BYTES
from kubectl_memdoctor.node_logs.recognition import HEAD_BYTES, Kind, recognise
from kubectl_memdoctor.node_logs.unpacking import BrokenOffError, peeked, plain

STANDARD_INPUT = "-"


class CannotReadError(BrokenOffError):
    """The operating system refuses."""


class LogSource(Struct, frozen=True):
    """`open` gives the bytes as they are stored, and raises BrokenOffError where they cannot be read. `changed` is when
    they were written last, at the earliest. Parts of one rotated log have the same `series`, oldest first."""

    name: str
    open: Callable[[], Iterator[bytes]]
    node: str = ""
    changed: datetime | None = None
    series: str = ""


class NotRead(Struct, frozen=True):
    """`problem` is a line for the user; `passed_over` counts files of a folder that are no logs of nodes."""

    problem: str = ""
    passed_over: int = 0


def open_logs(paths: Sequence[str], stdin: BinaryIO | None) -> Iterator[LogSource | NotRead]:
    """In the order of `paths`, but parts of a rotated log one after the other."""
    found = [entry for path in paths for entry in _opened(path, stdin)]
    yield from _in_order(found)


def _opened(path: str, stdin: BinaryIO | None) -> Iterator[LogSource | NotRead]:
    if path == STANDARD_INPUT:
        yield _standard_input(stdin)
        return
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        yield NotRead(f"{path}: {_reason(error)}")
        return
    if is_folder:
        yield from _Folder(Path(path)).logs()
    else:
        yield _file(Path(path), path)


def _standard_input(stdin: BinaryIO | None) -> LogSource | NotRead:
    if stdin is None:
        return NotRead("standard input: is closed")
    return LogSource("standard input", lambda: _chunks(stdin))


def _file(path: Path, name: str, node: str = "") -> LogSource:
    return LogSource(name, lambda: _file_chunks(path), node, _changed(path))


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None


def _file_chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            yield from _chunks(file)
    except OSError as error:
        raise CannotReadError(_reason(error)) from None


def _chunks(file: BinaryIO | FileIO) -> Iterator[bytes]:
    try:
        while chunk := file.read(BLOCK_BYTES):
            yield chunk
    except (OSError, ValueError) as error:
        raise CannotReadError(_reason(error)) from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


# Folders

_OF_CONTAINERS = frozenset({"pods", "containers"})
"""Folders in which lie what containers print: /var/log/pods and its like, and of dumps."""
_HOST_FILES = ("etc/hostname", "sos_commands/host/hostname", "sos_commands/general/hostname", "hostname")
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""What a file is does not depend on when its lines were written."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


class _Folder:
    """Links are followed only to what lies in the folder itself: a dump's absolute ones would lead to the files of the
    machine at hand."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._seen: set[tuple[int, int]] = set()
        self._journals = 0

    def logs(self) -> Iterator[LogSource | NotRead]:
        status = self._root.stat()
        self._seen.add((status.st_dev, status.st_ino))
        waiting = [(self._root, "")]
        while waiting:
            folder, node = waiting.pop()
            node = _host_of(folder) or node
            below: list[tuple[Path, str]] = []
            for entry in self._entries(folder):
                if isinstance(entry, NotRead):
                    yield entry
                elif entry.is_dir():
                    below.append((Path(entry.path), node))
                else:
                    yield self._log(Path(entry.path), node)
            waiting += reversed(below)
        if self._journals:
            yield NotRead(
                f"{self._root}: {self._journals} journals in systemd's own form were not read: "
                "give what `journalctl --directory=... -o export` prints of them"
            )

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str] | NotRead]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield NotRead(f"{folder}: {_reason(error)}")
            return
        for entry in entries:
            yield self._looked_at(entry) or entry

    def _looked_at(self, entry: os.DirEntry[str]) -> NotRead | None:
        """Why it is not read; None: it is a file or folder to go on with."""
        try:
            status = entry.stat()
        except FileNotFoundError:
            return NotRead(passed_over=1)
        except OSError as error:
            return NotRead(f"{entry.path}: {_reason(error)}")
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if f"{os.path.realpath(entry.path.rpartition(os.sep)[0])}{os.sep}".startswith(f"{target}{os.sep}"):
                return NotRead(f"{entry.path}: a link to a folder that it lies in")
            if not target.startswith(f"{self._real_root}{os.sep}"):
                return NotRead(passed_over=1)
        identity = (status.st_dev, status.st_ino)
        is_known = stat.S_ISREG(status.st_mode) or (stat.S_ISDIR(status.st_mode) and entry.name not in _OF_CONTAINERS)
        if identity in self._seen or not is_known:
            return NotRead(passed_over=1)
        self._seen.add(identity)
        return None

    def _log(self, path: Path, node: str) -> LogSource | NotRead:
        name = str(path)
        broken: list[BrokenOffError] = []
        head, _ = peeked(_until_broken(path, broken), HEAD_BYTES)
        recognised = recognise(head, name, now=_ANY_TIME)
        if recognised.is_of_nodes:
            return _file(path, name, _node_in(path.relative_to(self._root)) or node)
        if broken and not head:
            return NotRead(f"{name}: {broken[0]}")
        self._journals += recognised.kind is Kind.JOURNAL
        return NotRead(passed_over=1)


def _until_broken(path: Path, broken: list[BrokenOffError]) -> Iterator[bytes]:
    try:
        yield from plain(_file_chunks(path))
    except BrokenOffError as error:
        broken.append(error)


def _node_in(path: Path) -> str:
    """must-gather and others sort by nodes: `nodes/NAME/...`."""
    folders = path.parts[:-1]
    return next((name for folder, name in pairwise(folders) if folder == "nodes"), "")


def _host_of(folder: Path) -> str:
    for name in _HOST_FILES:
        try:
            with (folder / name).open(encoding="ascii", errors="replace") as file:
                word = file.readline(300).strip()
        except OSError:
            continue
        if _HOST.fullmatch(word):
            return word
    return ""


# Rotated logs

_ROTATED = re.compile(
    r"(?P<log>.+?)(?:\.(?P<number>\d{1,4})|[-.](?P<date>\d{8}(?:[-T_]?\d{4,6})?|\d{4}-\d\d-\d\d))?"
    r"(?:\.(?:gz|xz|bz2|zst))?$"
)
"""As logrotate counts (`syslog.2.gz`) or dates (`messages-20261122`); the kubelet dates its own so, too."""


class _Part(Struct, frozen=True):
    """`number` counts back from the newest part, which has none; parts with a date are older than those without."""

    source: LogSource
    log: str
    date: str
    number: int


def _in_order(found: Iterable[LogSource | NotRead]) -> Iterator[LogSource | NotRead]:
    """Each log's parts where its first one stands, oldest first."""
    groups: dict[object, list[_Part | NotRead]] = {}
    for entry in found:
        part = _part(entry) if isinstance(entry, LogSource) else entry
        groups.setdefault(part.log if isinstance(part, _Part) else id(part), []).append(part)
    for group in groups.values():
        parts = [part for part in group if isinstance(part, _Part)]
        yield from (part for part in group if isinstance(part, NotRead))
        yield from _joined(sorted(parts, key=lambda part: (not part.date, part.date, -part.number)))


def _part(source: LogSource) -> _Part:
    found = _ROTATED.match(source.name)
    if found is None:
        return _Part(source, source.name, "", -1)
    return _Part(source, found["log"], found["date"] or "", int(found["number"]) if found["number"] else -1)


def _joined(parts: Sequence[_Part]) -> Iterator[LogSource]:
    """Those that were counted and of which none is missing are one series. Whether one is missing between dates,
    nobody can tell."""
    first = min((part.number for part in parts if part.number >= 0), default=0)
    series = 0
    before: int | None = None
    for part in parts:
        number = part.number if part.number >= 0 else first - 1 if first in (0, 1) else -1
        series += before is None or bool(part.date) or number != before - 1
        before = None if part.date else number
        yield replace(part.source, series=f"{part.log} {series}") if len(parts) > 1 else part.source
