"""The listing of a node's /var/log, as its kubelet serves it -> the logs in it that may tell of memory."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from urllib.parse import unquote

from msgspec import Struct

from kubectl_memdoctor.evidence.log_line import Writer

WRITERS: Mapping[str, Writer] = {
    "kern.log": Writer.KERNEL,
    "messages": Writer.UNKNOWN,
    "syslog": Writer.UNKNOWN,
    "kubelet.log": Writer.KUBELET,
    "dmesg": Writer.KERNEL,
    "containerd.log": Writer.CONTAINERD,
    "crio.log": Writer.CRIO,
    "docker.log": Writer.DOCKER,
}
"""Whose words they hold, most telling first: the logs that distributions write, and those of nodes without a journal.
The dmesg among them is of the node's start."""
GROWING = frozenset({"kern.log", "messages", "syslog", "kubelet.log"})
"""Where what has just happened is to be found first."""
MOST_ROTATED = 4
"""Earlier parts of a log, newest first: logrotate keeps four."""

_LINK = re.compile(rb'<a href="([^"]*)"')
_NAME = re.compile(rf"({'|'.join(map(re.escape, WRITERS))})(?:[.-](\d{{1,8}}))?(\.gz|\.xz|\.bz2)?")
_DAY = len("20261122")


class LogFile(Struct, frozen=True):
    """`kern.log`, `kern.log.1`, `kern.log.2.gz`, `messages-20261122`; `log` is the name without what follows."""

    name: str
    log: str
    rotated: str = ""
    is_packed: bool = False

    @property
    def writer(self) -> Writer:
        return WRITERS[self.log]


def log_files(listing: bytes) -> list[LogFile]:
    """Most telling first; of each log its newest part, and up to MOST_ROTATED before that.

    https://github.com/golang/go/blob/go1.25.0/src/net/http/fs.go, dirList
    """
    found = [found for link in _LINK.findall(listing) if (found := _NAME.fullmatch(_file_name(link)))]
    files = {match[0]: LogFile(match[0], match[1], match[2] or "", bool(match[3])) for match in found}
    return [
        file
        for log in WRITERS
        for file in sorted((file for file in files.values() if file.log == log), key=_age)[: 1 + MOST_ROTATED]
    ]


def _file_name(link: bytes) -> str:
    return unquote(html.unescape(link.decode(errors="replace"))).rpartition("/")[2]


def _age(file: LogFile) -> tuple[bool, int]:
    """Smaller is newer: logrotate counts upwards, or names the day."""
    number = int(file.rotated or 0)
    return bool(file.rotated), -number if len(file.rotated) == _DAY else number
