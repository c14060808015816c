"""Label selectors, read and answered as the API server does.

https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/labels/selector.go
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct


class SelectorError(Exception):
    """A selector that the API server refuses; the text is in its words."""


class Requirement(Struct, frozen=True):
    """One part of a selector: a key, an operator (`in`, `notin`, `exists`, `!`, `>` or `<`) and values."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator in ("notin", "!"):
            return value is None or (self.operator == "notin" and value not in self.values)
        if value is None:
            return False
        if self.operator in ("<", ">"):
            return self._compares(value)
        return self.operator == "exists" or value in self.values

    def _compares(self, value: str) -> bool:
        number, bound = _int64(value), _int64(next(iter(self.values)))
        if number is None or bound is None:
            return False
        return number > bound if self.operator == ">" else number < bound


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Raises SelectorError."""
    return tuple(_Parser(text).requirements())


_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
_OPERATORS = {"=": "in", "==": "in", "in": "in", "!=": "notin", "notin": "notin", ">": ">", "<": "<"}
_EXPECTED_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_END = ""


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)[::-1]

    def _next(self) -> str:
        return self._tokens[-1] if self._tokens else _END

    def _take(self) -> str:
        return self._tokens.pop() if self._tokens else _END

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        if self._next() == _END:
            return found
        if self._next() != "!" and not _is_word(self._next()):
            raise SelectorError(f"found '{self._next()}', expected: !, identifier, or 'end of string'")
        while True:
            found.append(self._requirement())
            after = self._take()
            if after == _END:
                return found
            if after != ",":
                raise SelectorError(f"found '{after}', expected: ',' or 'end of string'")
            if self._next() != "!" and not _is_word(self._next()):
                raise SelectorError(f"found '{self._next()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        try:
            return self._one()
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None

    def _one(self) -> Requirement:
        absent = self._next() == "!"
        if absent:
            self._take()
        key = self._take()
        if not _is_word(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        _must_be_key(key)
        if absent or self._next() in (_END, ","):
            return Requirement(key, "!" if absent else "exists")
        written = self._take()
        operator = _OPERATORS.get(written)
        if operator is None:
            raise SelectorError(f"found '{written}', expected: {_EXPECTED_OPERATORS}")
        values = self._values() if written in ("in", "notin") else frozenset({self._value()})
        for value in sorted(values):
            _must_be_value(key, value, operator)
        return Requirement(key, operator, values)

    def _value(self) -> str:
        if self._next() in (_END, ","):
            return ""
        value = self._take()
        if not _is_word(value):
            raise SelectorError(f"found '{value}', expected: identifier")
        return value

    def _values(self) -> frozenset[str]:
        """`(a,b)`; nothing between two commas or brackets is the empty value."""
        opening = self._take()
        if opening != "(":
            raise SelectorError(f"found '{opening}' expected: '('")
        values: set[str] = set()
        before = ","
        while True:
            token = self._take()
            if before == "," and _is_word(token):
                values.add(token)
            elif token in (",", ")"):
                values |= {""} if before == "," else set()
            elif before == ",":
                raise SelectorError(f"found '{token}', expected: ',', or identifier")
            else:
                raise SelectorError(f"found '{token}', expected: ',' or ')'")
            if token == ")":
                return frozenset(values)
            before = token


def _is_word(token: str) -> bool:
    return token != _END and token not in _SYMBOLS


_NAME = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME, _LONGEST_PREFIX = 63, 253
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""


def _must_be_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    fits = len(name) <= _LONGEST_NAME and _NAME.fullmatch(name)
    if slash:
        fits = fits and len(prefix) <= _LONGEST_PREFIX and _PREFIX.fullmatch(prefix)
    if not fits:
        raise SelectorError(f'Invalid value: "{key}": not a label key')


def _must_be_value(key: str, value: str, operator: str) -> None:
    if operator in ("<", ">") and _int64(value) is None:
        raise SelectorError(
            f"values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
        )
    if value and (len(value) > _LONGEST_NAME or not _NAME.fullmatch(value)):
        raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": not a label value')


_INTEGER = re.compile(r"[+-]?[0-9]+")


def _int64(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
