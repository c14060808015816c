"""Lengths of time, worded as kubectl words an age."""

from __future__ import annotations

from datetime import timedelta

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def human_duration(length: timedelta) -> str:
    """`10s`, `2m5s`, `15m`, `3h5m`, `12h`, `2d3h`, `45d`, `2y10d`: two units while the first is small.

    The steps are those of https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/util/duration/duration.go
    """
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 3 * _HOUR:
        return _units(seconds, _MINUTE, "m", 1, "s", until=10)
    if seconds < 2 * _DAY:
        return _units(seconds, _HOUR, "h", _MINUTE, "m", until=8)
    if seconds < 2 * _YEAR:
        return _units(seconds, _DAY, "d", _HOUR, "h", until=8)
    return _units(seconds, _YEAR, "y", _DAY, "d", until=8)


def _units(seconds: int, large: int, large_name: str, small: int, small_name: str, *, until: int) -> str:
    whole, rest = divmod(seconds, large)
    part = rest // small
    if whole >= until or part == 0:
        return f"{whole}{large_name}"
    return f"{whole}{large_name}{part}{small_name}"
