"""Takes a log line of kubelet or a runtime apart: its message, and the key=value pairs after it.

They write klog (plain or structured), logrus' text, or JSON. All are read by their form, so that a message whose words
are new is still taken apart. Time grows with the length of the line, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct, field


class LogEntry(Struct, frozen=True):
    """`fields` are unquoted once; what is no text (Go's dump of a structure, a number, JSON) is as it was written."""

    message: str
    fields: Mapping[str, str] = field(default_factory=dict)


_LOGRUS = re.compile(r"(?:time|level|msg)=")
_LOGRUS_TERMINAL = re.compile(r"[A-Z]{4}\[[^\]]{1,60}\] ?")
"""What logrus writes to a terminal: `ERRO[0001] message  key=value`.
https://github.com/sirupsen/logrus/blob/v1.9.3/text_formatter.go"""

_FIRST_FIELD = re.compile(r"\s(?=[A-Za-z_][\w.-]{0,100}=)")
_SPACE = re.compile(r"\s*+")
_WORD = re.compile(r"\S*+")
_KEY = re.compile(r"([\w./-]{1,100})=")
QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)', re.DOTALL)
"""A Go string; the closing quote may be missing, since lines are cut off."""
_STRUCTURE = re.compile(r"[&*]{0,2}[{\[]")
_BRACKET = re.compile(r'([{\[])|([}\]])|"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def read_entry(text: str) -> LogEntry:
    """Never fails: a line in none of the forms is all message."""
    text = text.strip()
    if text.startswith("{"):
        return _read_json(text) or LogEntry(text)
    if text.startswith('"'):
        message = QUOTED.match(text)
        return LogEntry(unquote(message[1]), _fields(text, message.end())) if message else LogEntry(text)
    if _LOGRUS.match(text):
        fields = _fields(text, 0)
        return LogEntry(fields.pop("msg", ""), fields)
    terminal = _LOGRUS_TERMINAL.match(text)
    if terminal is None:
        return LogEntry(text)
    rest = text[terminal.end() :]
    first = _FIRST_FIELD.search(rest)
    return LogEntry(rest[: first.start()].rstrip(), _fields(rest, first.end())) if first else LogEntry(rest)


def _fields(text: str, start: int) -> dict[str, str]:
    """From `start` on; what is no key=value is passed over. The first value of a key counts."""
    fields: dict[str, str] = {}
    at = _skip(_SPACE, text, start)
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None:
            at = _skip(_WORD, text, at)
        else:
            value, at = _value(text, key.end())
            fields.setdefault(key[1], value)
        at = _skip(_SPACE, text, at)
    return fields


def _skip(what: re.Pattern[str], text: str, at: int) -> int:
    found = what.match(text, at)
    return found.end() if found else at


def _value(text: str, start: int) -> tuple[str, int]:
    """The value that begins at `start`, and where it ends."""
    quoted = QUOTED.match(text, start)
    if quoted:
        return unquote(quoted[1]), quoted.end()
    end = _structure_end(text, start) if _STRUCTURE.match(text, start) else _skip(_WORD, text, start)
    return text[start:end], end


def _structure_end(text: str, start: int) -> int:
    """Where the brackets are closed that open at `start`; the end of the text when they never are."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += bool(bracket[1]) - bool(bracket[2])
        if depth == 0 and bracket[2]:
            return bracket.end()
    return len(text)


_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|[0-7]{3}|(.)|\Z)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_LAST_CODE_POINT = 0x10FFFF
_NO_TEXT = "\ufffd"


def unquote(inside: str) -> str:
    """What stood between Go's quotes, its escapes undone once. Escaped bytes are no UTF-8, else Go had not escaped
    them: each becomes the replacement character.
    https://pkg.go.dev/strconv#Quote
    """
    return _ESCAPE.sub(_unescape, inside) if "\\" in inside else inside


def _unescape(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2]
    if digits:
        code = int(digits, 16)
        return chr(code) if code <= _LAST_CODE_POINT else _NO_TEXT
    if escape[3] is None:
        return _NO_TEXT if len(escape[0]) > 1 else ""
    return _CONTROLS.get(escape[3], escape[3])


def _read_json(text: str) -> LogEntry | None:
    try:
        read = msgspec.json.decode(text)
        if not isinstance(read, dict):
            return None
        texts = {key: value if isinstance(value, str) else _written(value) for key, value in read.items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return LogEntry(texts.pop("msg", ""), texts)


def _written(value: object) -> str:
    return msgspec.json.encode(value).decode()
