"""A server that is slow, throttles or cuts costs time, not findings; and how often it is asked can be bounded."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest

from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.pace import Pace
from kubectl_memdoctor.objects import PODS

from .faulty_server import HANG_UP, Reply, Script, faulty_server, pod_list, status
from .protobuf_bodies import list_reply
from .test_protobuf import pods

PAGES = 60
BUSY = status(429, "TooManyRequests", "later").with_header("Retry-After", "0")
STARTING = status(503, "ServiceUnavailable", "starting")


def page(number: int) -> Reply:
    """Two pods, and the way to the next page."""
    names = [f"pod-{number:02}-{letter}" for letter in "ab"]
    token = str(number + 1) if number + 1 < PAGES else ""
    if number == 0:
        return replace(pod_list(*names, token=token), delay_seconds=0.002)
    return replace(list_reply("Pod", pods(*names), token), delay_seconds=0.002)


def faulty_replies() -> list[Reply]:
    """Every seventh page costs a try, each time another way."""
    replies: list[Reply] = []
    faults = itertools.cycle(
        (BUSY, STARTING, HANG_UP, replace(page(1), cut=50), replace(page(1), cut=50, framing="close"))
    )
    for number in range(PAGES):
        if number % 7 == 3:
            replies.append(next(faults))
        replies.append(page(number))
    return replies


def test_a_slow_throttling_cutting_server_costs_time_and_no_pod() -> None:
    waits: list[float] = []
    with faulty_server(Script(faulty_replies())) as connection:
        api = ApiServer(connection, sleep=waits.append)
        names = [item.metadata.name for found in api.list(PODS) for item in found.items]
    assert names == [f"pod-{number:02}-{letter}" for number in range(PAGES) for letter in "ab"]
    assert len(waits) == len(range(3, PAGES, 7))


def test_requests_of_all_threads_are_spaced_evenly() -> None:
    now = [100.0]
    waits: list[float] = []
    pace = Pace(4, sleep=waits.append, clock=lambda: now[0])
    for _ in range(3):
        pace.wait()
    # Two others are still waiting: this one's turn is after theirs.
    now[0] += 0.6
    pace.wait()
    now[0] += 10
    pace.wait()
    assert waits == pytest.approx([0.25, 0.5, 0.15])


def test_a_limit_holds_for_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(Pace, "wait", lambda self: waits.append(time.monotonic()))
    with faulty_server(Script([pod_list("a", token="1"), pod_list("b")])) as connection:
        assert len(list(ApiServer(connection, max_qps=5).list(PODS))) == 2
        assert len(waits) == 2
        assert len(list(ApiServer(connection).list(PODS))) == 1
        assert len(waits) == 2
