# ruff: noqa: RUF001 - months in Greek and Cyrillic letters
"""Times as logs write them: in any language, without a year, without a zone.

All are aware. What names no zone is the node's local time written down as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
"""Part of a pattern; the functions below read its groups."""
ISO_DATE = rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)(?P<between>[T ]){CLOCK}(?: ?(?P<zone>Z|[+-]\d\d:?\d\d))?"


class Moment(NamedTuple):
    time: datetime | None
    zone_known: bool = True


NOT_TOLD = Moment(None)


def moment(found: re.Match[str], zone: str) -> Moment:
    """`found` has the groups year, month, day and those of CLOCK. A leap second counts as the one before it; what is no
    date is None."""
    offset = _offset(zone)
    time = _time(int(found["year"]), int(found["month"]), int(found["day"]), found, offset or UTC)
    return Moment(time, offset is not None or time is None)


def iso_moment(text: str) -> Moment:
    """Of a text that is nothing else."""
    found = _ISO_ALONE.match(text)
    return moment(found, found["zone"] or "") if found else NOT_TOLD


_ISO_ALONE = re.compile(ISO_DATE + r"(?: UTC| [+-]\d{4} [A-Z]{1,5})?$")


def _time(year: int, month: int, day: int, clock: re.Match[str], zone: timezone = UTC) -> datetime | None:
    fraction = (clock["fraction"] or "")[:6].ljust(6, "0")
    try:
        second = min(int(clock["second"] or 0), 59)
        return datetime(year, month, day, int(clock["hour"]), int(clock["minute"]), second, int(fraction), zone)
    except ValueError:
        return None


def since_epoch(micros: float) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    except (OverflowError, ValueError):
        return None


_ZONES_APART = timedelta(days=1)
"""By how much a node's local time may be ahead of `reference`, with some skew."""
_YEARS_BACK = 9
"""Every 29 February is found within these."""


def moment_without_year(month: int | None, day: int, clock: re.Match[str], reference: datetime) -> Moment:
    """Local time, in the newest year that does not put it after `reference`."""
    latest = reference + _ZONES_APART
    for year in range(latest.year, latest.year - _YEARS_BACK, -1):
        time = _time(year, month, day, clock) if month else None
        if time is not None and time <= latest:
            return Moment(time, False)
    return NOT_TOLD


@lru_cache(maxsize=64)
def _offset(zone: str) -> timezone | None:
    """`Z`, `UTC`, `+0800`, `+08:00`, `+08`; None for a name, which may mean several zones (CST, IST)."""
    if zone in ("Z", "UTC", "GMT"):
        return UTC
    digits = zone[1:].replace(":", "")
    if zone[:1] not in ("+", "-") or not digits.isdecimal() or len(digits) not in (2, 4):
        return None
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes)) if minutes < 24 * 60 else None


_ZONE_QUARTER_SECONDS = 900
_LARGEST_ZONE_SECONDS = 15 * 3600


def differ_by_zone(one: datetime, other: datetime, within_seconds: float) -> bool:
    """Whether both may be one moment in different zones, which lie quarters of an hour apart."""
    seconds = (other - one).total_seconds()
    left = seconds - round(seconds / _ZONE_QUARTER_SECONDS) * _ZONE_QUARTER_SECONDS
    return abs(seconds) <= _LARGEST_ZONE_SECONDS and abs(left) <= within_seconds


_MONTHS = (
    "jan january januar janv janvier ene enero gen gennaio sty led ian oca tammi янв січ ιαν ינו 一月",
    "feb february februar févr février fev febr lut úno şub helmi фев лют φεβ פבר 二月",
    "mar march mär märz mars mrt bře márc maalis мар бер μαρ מרץ 三月",
    "apr april avril abr kwi dub ápr nis huhti апр кві απρ אפר 四月",
    "may mai mag mei maj kvě máj touko май мая μαΐ מאי 五月",
    "jun june juni juin giu cze čen jún iun haz kesä июн чер ιουν יונ 六月",
    "jul july juli juil juillet lug čec júl iul tem heinä июл ιουλ יול 七月",
    "aug august août ago sie ağu agu elo авг сер αυγ אוג 八月",
    "sep sept september set wrz zář eyl syys szept сен вер σεπ ספט 九月",
    "oct october okt oktober ott out paź říj eki loka окт жов οκτ אוק 十月",
    "nov november kas marras ноя νοε נוב 十一月",
    "dec december dez dezember déc dic gru pro ara joulu des дек гру δεκ דצמ 十二月",
)
"""As glibc's locales shorten them, and a few whole names, January first. A word that means different months in two
large languages is none (lis, lip, srp); of a large and a small one the large one counts (out: Portuguese, not Haitian).
https://sourceware.org/git/?p=glibc.git;a=tree;f=localedata/locales"""
_MONTH_WORDS: Mapping[str, int] = {word: number for number, row in enumerate(_MONTHS, 1) for word in row.split()}
_MONTH_SIGN = re.compile(r"(\d{1,2})[月월]$")
_SIGNS = "年日년일."


@lru_cache(maxsize=256)
def month_of(word: str) -> int | None:
    """A month's name in any of the languages above, or `4月`; None where that is not certain."""
    found = _MONTH_SIGN.match(word)
    if found:
        return int(found[1]) if 1 <= int(found[1]) <= 12 else None
    return _MONTH_WORDS.get(word.rstrip(".").lower())


_CTIME_CLOCK = re.compile(rf"(?<!\S){CLOCK}(?!\S)")
_CTIME_YEAR = re.compile(r"(?<!\S)(?P<year>\d{4})[年년]?(?!\S)")


@lru_cache(maxsize=256)
def ctime(stamp: str) -> Moment | None:
    """`Mon Apr  1 16:22:07 2019` in any language. None: no such stamp. Without a time: its month is not certain."""
    clock, year = _CTIME_CLOCK.search(stamp), _CTIME_YEAR.search(stamp)
    if clock is None or year is None:
        return None
    words = _CTIME_YEAR.sub(" ", _CTIME_CLOCK.sub(" ", stamp)).replace(",", " ").split()
    days = [word.rstrip(_SIGNS) for word in words if word.rstrip(_SIGNS).isdecimal()]
    names = [word for word in words if not word.rstrip(_SIGNS).isdecimal()]
    month = _named_month(names)
    if month is None or len(days) != 1 or len(days[0]) > 2:
        return NOT_TOLD
    time = _time(int(year["year"]), month, int(days[0]), clock)
    return Moment(time, time is None)


def _named_month(names: list[str]) -> int | None:
    """A month in digits wherever it stands; a name only after the weekday's, since `mar.` is Tuesday in some
    languages and March in others."""
    if not 1 <= len(names) <= 2:
        return None
    signs = [month_of(name) for name in names if _MONTH_SIGN.match(name)]
    return signs[0] if signs else month_of(names[-1])
