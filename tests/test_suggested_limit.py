"""The limit that is suggested, where it comes from, and that it never claims more than was seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor import quantity
from kubectl_memdoctor.suggested_limit import MEBIBYTE, above_peak, after_oom, usual_figure
from kubectl_memdoctor.usage import History, Usage

WEEK = timedelta(days=7)
WEEKS_PEAK = "the peak of 250Mi over 3 pods in the last 7d (Prometheus)"
USE_NOW = "the 100Mi in use now (metrics API)"
UNKNOWN = "than that, so the real peak is not known."


def week(mebibytes: int) -> Usage:
    return Usage(history=History(max_bytes=mebibytes * MEBIBYTE, pods=3, reach=WEEK))


@pytest.mark.parametrize(
    ("limit", "usage", "enough", "why"),
    [
        (256, None, "384Mi", ""),
        (256, Usage(), "384Mi", ""),
        (256, Usage(peak_bytes=256 * MEBIBYTE, peak_pods=1, peak_at_limit=True), "384Mi", ""),
        (
            256,
            week(400),
            "512Mi",
            "512Mi: the peak of 400Mi over 3 pods in the last 7d (Prometheus), and a quarter on top.",
        ),
        (
            256,
            week(250),
            "384Mi",
            f"384Mi: the limit of 256Mi that was reached, and half on top; {WEEKS_PEAK} is no more {UNKNOWN}",
        ),
        (
            512,
            Usage(now_bytes=100, most_now_bytes=100 * MEBIBYTE, now_pods=1, now_source="metrics"),
            "768Mi",
            f"768Mi: the limit of 512Mi that was reached, and half on top; {USE_NOW} is no more {UNKNOWN}",
        ),
    ],
)
def test_after_a_kill(limit: int, usage: Usage | None, enough: str, why: str) -> None:
    suggestion = after_oom(limit * MEBIBYTE, usage.observed() if usage else None)
    assert (suggestion.quantity, suggestion.why) == (enough, why)


@pytest.mark.parametrize(
    ("limit", "usage", "enough"),
    [
        (256, week(240), "384Mi"),
        (256, week(200), None),
        (256, Usage(), None),
        (1024, week(1000), "1536Mi"),
    ],
)
def test_near_the_limit(limit: int, usage: Usage, enough: str | None) -> None:
    suggestion = above_peak(limit * MEBIBYTE, usage)
    assert (suggestion.quantity if suggestion else None) == enough


AMOUNTS = st.integers(0, 1 << 45)
USAGES = st.builds(
    Usage,
    most_now_bytes=st.none() | AMOUNTS,
    now_pods=st.integers(1, 9),
    now_source=st.sampled_from(("metrics", "kubelet")),
    peak_bytes=st.none() | AMOUNTS,
    peak_at_limit=st.booleans(),
    history=st.none() | st.builds(History, max_bytes=st.none() | AMOUNTS, pods=st.integers(1, 9)),
)


@given(AMOUNTS, USAGES)
def test_a_limit_that_was_reached_is_always_raised(limit: int, usage: Usage) -> None:
    observed = usage.observed()
    suggested = quantity.value(after_oom(limit, observed).quantity)
    assert suggested > limit
    assert suggested >= usual_bytes(observed.bytes * 1.25) if observed and observed.bytes > limit else True


@given(AMOUNTS, USAGES)
def test_room_is_left_above_what_was_seen(limit: int, usage: Usage) -> None:
    suggestion, observed = above_peak(limit, usage), usage.observed()
    enough = quantity.value(suggestion.quantity) if suggestion else limit
    assert observed is None or enough >= observed.bytes * 1.25 - 1


def usual_bytes(count: float) -> int:
    return quantity.value(usual_figure(int(count)))
