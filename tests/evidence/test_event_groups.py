"""Repeated events as one: what belongs together, how often, since when."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.event_groups import group_events
from kubectl_memdoctor.objects import Event, EventSeries, ObjectMeta, ObjectReference

from .field_texts import NAMES, field_texts

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
COMBINED = "(combined from similar events): "
TEXTS = field_texts()


def event(
    message: str,
    minute: int = 0,
    *,
    count: int = 1,
    since: int | None = None,
    reason: str = "FailedCreatePodSandBox",
    field_path: str = "",
) -> Event:
    return Event(
        type="Warning",
        reason=reason,
        message=message,
        involved_object=ObjectReference(field_path=field_path),
        count=count,
        first_timestamp=NOON + timedelta(minutes=minute if since is None else since),
        last_timestamp=NOON + timedelta(minutes=minute),
    )


def mkdir(container: str) -> str:
    return f"mkdir /sys/fs/cgroup/memory/kubepods/pod{NAMES['uid']}/{container}: cannot allocate memory"


def test_messages_that_differ_in_ids_are_one_group() -> None:
    (group,) = group_events([event(mkdir("a1" * 32), 1), event(mkdir("b2" * 32), 2, count=3), event(mkdir("c3" * 32))])
    assert (group.count, group.message) == (5, mkdir("b2" * 32))
    assert (group.first, group.last) == (NOON, NOON + timedelta(minutes=2))


def test_what_the_recorder_combined_belongs_to_the_single_ones() -> None:
    (group,) = group_events([event(mkdir("a1" * 32)), event(COMBINED + mkdir("b2" * 32), 5, count=40)])
    assert group.count == 41


def test_each_refused_pod_has_a_generated_name() -> None:
    text = 'Error creating: pods "web-6b8c9d5f7-{}" is forbidden: exceeded quota: compute'
    (group,) = group_events([event(text.format("zz9pq"), 1), event(text.format("7kq2d"), 2)])
    assert (group.count, group.message) == (2, text.format("7kq2d"))


def test_equally_new_events_have_an_order_of_their_own() -> None:
    events = [msgspec.structs.replace(event(f"text {name}"), metadata=ObjectMeta(name=name)) for name in "abc"]
    assert [group.message for group in group_events(events)] == [group.message for group in group_events(events[::-1])]


def test_each_try_to_fill_a_volume_has_a_directory_of_its_own() -> None:
    text = (
        "write /var/lib/kubelet/pods/x/volumes/kubernetes.io~projected/kube-api-access-hxpsv/..{}/token: no space left"
    )
    tries = ("2026_11_24_15_14_29.4258623909", "2026_11_24_15_14_33.106")
    (group,) = group_events([event(text.format(directory)) for directory in tries])
    assert group.count == 2


def test_reasons_and_containers_stay_apart() -> None:
    events = [
        event("no room"),
        event("no room", reason="FailedMount"),
        event("no room", field_path="spec.containers{a}"),
        event("no room", field_path="spec.containers{b}"),
        event("no room left"),
    ]
    assert [group.count for group in group_events(events)] == [1] * 5


def test_short_numbers_tell_messages_apart() -> None:
    texts = [f"set memory limit {limit} too low; should be at least 12582912 bytes" for limit in (1, 300, 4096)]
    assert len(group_events([event(text) for text in texts])) == 3


def test_the_newest_group_comes_first() -> None:
    groups = group_events([event("old", 1), event("new", 9), event("middle", 5)])
    assert [group.message for group in groups] == ["new", "middle", "old"]


def test_a_series_counts_and_dates_its_event() -> None:
    scheduler = Event(
        reason="FailedScheduling",
        message="0/3 nodes are available",
        event_time=NOON,
        series=EventSeries(count=7, last_observed_time=NOON + timedelta(hours=1)),
    )
    (group,) = group_events([scheduler])
    assert (group.count, group.first, group.last) == (7, NOON, NOON + timedelta(hours=1))


def test_an_event_without_any_time_comes_last() -> None:
    groups = group_events([Event(message="timeless"), event("dated")])
    assert [(group.message, group.last) for group in groups] == [("dated", NOON), ("timeless", None)]


def test_an_event_made_is_seen_when_it_was_made() -> None:
    (group,) = group_events([Event(message="a", metadata=ObjectMeta(creation_timestamp=NOON))])
    assert (group.first, group.last) == (NOON, NOON)


def test_evidence_counts_only_what_was_repeated() -> None:
    once, repeated = group_events([event("b", 2), event("a", 1, count=4, since=-30)])
    assert (once.evidence().count, once.evidence().first_time, once.evidence().time) == (None, None, once.last)
    told = repeated.evidence()
    assert (told.field, told.value, told.count) == ("FailedCreatePodSandBox", "a", 4)
    assert (told.first_time, told.time) == (NOON - timedelta(minutes=30), NOON + timedelta(minutes=1))


def test_no_event_no_group() -> None:
    assert group_events([]) == ()


_events = st.lists(
    st.builds(
        lambda text, id_, minute, count: event(text.text({"cid": id_.hex()}), minute, count=count),
        st.sampled_from(TEXTS),
        st.binary(min_size=32, max_size=32),
        st.integers(0, 600),
        st.integers(1, 50),
    ),
    max_size=12,
)


@given(events=_events, shuffle=st.randoms())
def test_every_event_is_counted_once_in_whatever_order_they_come(events: list[Event], shuffle: random.Random) -> None:
    groups = group_events(events)
    assert sum(group.count for group in groups) == sum(event.count for event in events)
    assert [group.last for group in groups] == sorted((group.last for group in groups if group.last), reverse=True)
    shuffled = list(events)
    shuffle.shuffle(shuffled)
    assert sorted(g.count for g in group_events(shuffled)) == sorted(g.count for g in groups)
