"""What is made of figures about use: whose they are, what they say together, and how they are worded."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from typed import convert

from kubectl_memdoctor import quantity
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, ContainerUsage
from kubectl_memdoctor.objects import Pod
from kubectl_memdoctor.usage import (
    History,
    Measured,
    NearLimit,
    Observed,
    Usage,
    bar,
    in_words,
    near_by_counters,
    percent,
    together,
    usages,
)
from kubectl_memdoctor.workload_pods import WorkloadPods, workload_pods

MEBIBYTE = 1 << 20


def pod(
    name: str = "web-5d9c7b9b8-x7k2p",
    owner: tuple[str, str] | None = ("ReplicaSet", "web-5d9c7b9b8"),
    *,
    group: str = "apps/v1",
    template_hash: str = "5d9c7b9b8",
    limit: str | None = "256Mi",
    **status: Any,
) -> Pod:
    references = [{"kind": owner[0], "name": owner[1], "apiVersion": group, "controller": True}] if owner else []
    resources = {"limits": {"memory": limit}} if limit else {}
    return convert(
        {
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": f"uid-{name}",
                "labels": {"pod-template-hash": template_hash} if template_hash else {},
                "ownerReferences": references,
            },
            "spec": {"containers": [{"name": "app", "resources": resources}]},
            "status": status,
        },
        Pod,
    )


LONG = "a" * 60


@pytest.mark.parametrize(
    ("found", "like", "unlike"),
    [
        (pod(), "web-7c4f8b6d9f-2xzvq", "web-x7k2p"),
        (pod(), "web-7c4f8b6d9f-2xzvq", "web-frontend-5d9c7b9b8-x7k2p"),
        (pod(), "web-5d9c7b9b8-zzzzz", "web-5d9c7b9b8-aeiou"),
        (pod("web-x7k2p", ("ReplicaSet", "web"), template_hash=""), "web-2xzvq", "web-5d9c7b9b8-x7k2p"),
        (pod("db-0", ("StatefulSet", "db"), template_hash=""), "db-12", "db-x7k2p"),
        (pod("log-x7k2p", ("DaemonSet", "log"), template_hash=""), "log-2xzvq", "log-agent-2xzvq"),
        (pod("rc-x7k2p", ("ReplicationController", "rc"), group="v1", template_hash=""), "rc-2xzvq", "rc-0"),
        (pod("sum-x7k2p", ("Job", "sum"), group="batch/v1", template_hash=""), "sum-3-2xzvq", "sum-all-2xzvq"),
        (
            pod("sum-29012345-x7k2p", ("Job", "sum-29012345"), group="batch/v1", template_hash=""),
            "sum-29012346-2xzvq",
            "sum-9-2xzvq",
        ),
        (
            pod(f"{LONG}"[:58] + "x7k2p", ("DaemonSet", LONG), template_hash=""),
            f"{LONG}"[:58] + "2xzvq",
            f"{LONG}-2xzvq",
        ),
        (pod("tool", None), "tool", "tool-x7k2p"),
        (pod("web-x7k2p", ("CloneSet", "web"), group="apps.kruise.io/v1"), "web-x7k2p", "web-2xzvq"),
        (pod("web.v2-0", ("StatefulSet", "web.v2"), template_hash=""), "web.v2-1", "webxv2-1"),
    ],
)
def test_pods_of_one_workload_by_their_names(found: Pod, like: str, unlike: str) -> None:
    workload = workload_pods(found)
    assert workload.match(found.metadata.name)
    assert workload.match(like)
    assert not workload.match(unlike)
    for name in (found.metadata.name, like, unlike):
        assert bool(re.fullmatch(workload.pattern, name)) == workload.match(name)


def test_replicas_of_one_revision_and_of_the_next_are_one_workload() -> None:
    old, new = pod(), pod("web-7c4f8b6d9f-2xzvq", ("ReplicaSet", "web-7c4f8b6d9f"), template_hash="7c4f8b6d9f")
    assert workload_pods(old) == workload_pods(new)


@given(st.text())
def test_a_pattern_means_only_the_letters_of_the_prefix(name: str) -> None:
    assert re.fullmatch(WorkloadPods("shop", name).pattern, name, re.DOTALL)


def now(name: str, mebibytes: int, *, source: str = "metrics", uid: str = "") -> ContainerUsage:
    return ContainerUsage("shop", name, "app", mebibytes * MEBIBYTE, source, pod_uid=uid)


def counters(name: str, peak: int | None, limit: int | None = 256, container: str = "app") -> ContainerCounters:
    return ContainerCounters(
        "shop",
        name,
        container,
        None,
        max_usage_bytes=peak if peak is None else peak * MEBIBYTE,
        limit_bytes=limit if limit is None else limit * MEBIBYTE,
    )


OWN, OTHER, OLDER = "web-5d9c7b9b8-x7k2p", "web-5d9c7b9b8-zzzzz", "web-7c4f8b6d9f-2xzvq"
KEY = ("shop", OWN, "app")


def usage_of(*measured: ContainerUsage | ContainerCounters, history: History | None = None) -> Usage | None:
    found = usages(
        [pod()],
        Measured(
            now=tuple(entry for entry in measured if isinstance(entry, ContainerUsage)),
            counters=tuple(entry for entry in measured if isinstance(entry, ContainerCounters)),
            histories={(workload_pods(pod()), "app"): history} if history else {},
        ),
    )
    return found.get(KEY)


def test_of_nothing_there_is_no_usage() -> None:
    assert usage_of() is None
    assert usage_of(now("api-1", 10), counters(OWN, 10, container="POD"), counters(OWN, None)) is None


def test_the_largest_of_the_workloads_pods_counts_and_no_other_workloads() -> None:
    usage = usage_of(now(OWN, 100), now(OTHER, 150), now(OLDER, 120), now("web-db-0", 900), now("web-1", 900))
    assert usage is not None
    assert (usage.now_bytes, usage.most_now_bytes, usage.now_pods) == (100 * MEBIBYTE, 150 * MEBIBYTE, 3)
    assert [entry.object for entry in usage.evidence] == [f"pod/{OWN}", f"pod/{OTHER}"]


def test_other_namespaces_are_other_workloads() -> None:
    elsewhere = ContainerUsage("mall", OWN, "app", MEBIBYTE, "metrics")
    assert usage_of(elsewhere) is None


def test_the_first_source_of_one_container_counts() -> None:
    usage = usage_of(now(OWN, 100), now(OWN, 200, source="kubelet"))
    assert usage is not None
    assert (usage.now_bytes, usage.now_source) == (100 * MEBIBYTE, "metrics")


def test_a_pod_made_anew_under_the_same_name_is_another_one() -> None:
    usage = usage_of(now(OWN, 100, source="kubelet", uid="older"))
    assert usage is not None
    assert (usage.now_bytes, usage.most_now_bytes) == (None, 100 * MEBIBYTE)


@pytest.mark.parametrize(
    ("measured", "at_limit"),
    [
        ([counters(OWN, 255)], True),
        ([counters(OWN, 200)], False),
        ([counters(OWN, 255), counters(OTHER, 300, 512)], False),
        ([counters(OWN, 300, None)], False),
    ],
)
def test_a_peak_at_the_limit_says_nothing_about_the_need(measured: list[ContainerCounters], at_limit: bool) -> None:
    usage = usage_of(*measured)
    assert usage is not None
    assert usage.peak_at_limit == at_limit
    assert (usage.observed() is None) == at_limit


def test_of_two_runs_of_one_container_the_larger_peak_counts() -> None:
    usage = usage_of(counters(OWN, 10), counters(OWN, 200))
    assert usage is not None
    assert (usage.peak_bytes, usage.peak_pods) == (200 * MEBIBYTE, 1)


def test_a_peak_below_what_is_used_now_is_an_old_one() -> None:
    usage = usage_of(now(OWN, 100), counters(OWN, 3))
    assert usage is not None
    assert (usage.peak_bytes, usage.peak_pods, len(usage.evidence)) == (None, 0, 1)


def test_that_no_kill_was_seen_is_no_evidence() -> None:
    usage = usage_of(history=History(max_bytes=MEBIBYTE, oom_count=0))
    assert usage is not None
    assert len(usage.evidence) == 1
    assert not [sentence for sentence in usage.sentences() if "OOM" in sentence]


WEEK = History(max_bytes=400 * MEBIBYTE, p99_bytes=380 * MEBIBYTE, oom_count=5, pods=3, reach=timedelta(days=7))


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (usage_of(now(OWN, 100)), "the 100Mi in use now (metrics API)"),
        (
            usage_of(now(OWN, 100, source="kubelet"), now(OTHER, 150, source="kubelet")),
            "the 150Mi that the largest of 2 pods uses now (kubelet)",
        ),
        (
            usage_of(now(OWN, 100), counters(OWN, 200)),
            "the peak of 200Mi since the last start, page cache included (cAdvisor)",
        ),
        (
            usage_of(counters(OWN, 200), counters(OTHER, 190)),
            "the peak of 200Mi over 2 pods since the last start, page cache included (cAdvisor)",
        ),
        (usage_of(now(OWN, 100), history=WEEK), "the peak of 400Mi over 3 pods in the last 7d (Prometheus)"),
        # Page cache: what Prometheus has of the working set is nearer to the need.
        (usage_of(counters(OWN, 900, 1024), history=WEEK), "the peak of 400Mi over 3 pods in the last 7d (Prometheus)"),
        (
            usage_of(now(OWN, 400), history=replace(WEEK, max_bytes=400 * MEBIBYTE + 5)),
            "the peak of 400Mi over 3 pods in the last 7d (Prometheus)",
        ),
        (
            usage_of(now(OWN, 400), history=replace(WEEK, max_bytes=400 * MEBIBYTE)),
            "the peak of 400Mi over 3 pods in the last 7d (Prometheus)",
        ),
        (usage_of(now(OWN, 410), history=WEEK), "the 410Mi in use now (metrics API)"),
        (
            usage_of(history=History(max_bytes=MEBIBYTE, pods=1, reach=timedelta(hours=2))),
            "the peak of 1Mi in the last 120m (Prometheus)",
        ),
        (usage_of(history=History(max_bytes=MEBIBYTE)), "the peak of 1Mi (Prometheus)"),
    ],
)
def test_the_most_that_was_seen_names_its_source(usage: Usage, words: str) -> None:
    observed = usage.observed()
    assert observed is not None
    assert observed.words == words


def test_every_source_has_its_sentence() -> None:
    usage = usage_of(now(OWN, 240), now(OTHER, 250), counters(OWN, 255), history=WEEK)
    assert usage is not None
    assert list(usage.sentences()) == [
        "It uses 240Mi now, and the largest of 2 pods 250Mi (metrics API).",
        "cAdvisor saw the limit reached since the last start: page cache does that too, and is given back.",
        "Prometheus saw at most 400Mi in use over 3 pods in the last 7d, and 380Mi or less in 99% of the time.",
        "Prometheus saw OOM kills over 3 pods in the last 7d: at least 5.",
    ]
    assert [(entry.source, entry.object) for entry in usage.evidence] == [
        ("metrics", f"pod/{OWN}"),
        ("metrics", f"pod/{OTHER}"),
        ("cadvisor", f"pod/{OWN}"),
        ("metrics", "prometheus"),
        ("metrics", "prometheus"),
        ("metrics", "prometheus"),
    ]
    assert usage.evidence[0].value == "240Mi (251658240 bytes)"


@pytest.mark.parametrize(
    ("usage", "sentence"),
    [
        (usage_of(now(OWN, 250)), "It uses 250Mi now (metrics API)."),
        (usage_of(now(OWN, 250), now(OTHER, 240)), "It uses 250Mi now, the most of 2 pods (metrics API)."),
        (usage_of(now(OTHER, 250)), "In other pods of the workload up to 250Mi is in use now (metrics API)."),
        (
            usage_of(counters(OWN, 100), counters(OTHER, 120)),
            "cAdvisor saw at most 120Mi in use since the last start over 2 pods, page cache included.",
        ),
        (
            usage_of(history=History(max_bytes=MEBIBYTE, reach=timedelta(days=2, hours=5))),
            "Prometheus has nothing of it from before 2d5h ago.",
        ),
        (
            usage_of(history=History(max_bytes=MEBIBYTE)),
            "Prometheus saw at most 1Mi in use as far as its samples reach.",
        ),
    ],
)
def test_less_is_said_where_less_is_known(usage: Usage, sentence: str) -> None:
    assert sentence in list(usage.sentences())


def test_a_whole_week_is_not_called_short() -> None:
    usage = usage_of(history=History(max_bytes=MEBIBYTE, reach=timedelta(days=7, minutes=-5)))
    assert usage is not None
    assert list(usage.sentences()) == ["Prometheus saw at most 1Mi in use in the last 7d."]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (1023, "1023"),
        (2047, "1Ki"),
        (MEBIBYTE - 1, "1023Ki"),
        (400 * MEBIBYTE + 5, "400Mi"),
        (2048 * MEBIBYTE, "2Gi"),
        (2049 * MEBIBYTE, "2049Mi"),
        (12 * 1024 * MEBIBYTE + 600 * MEBIBYTE, "12.5Gi"),
        (20 * 1024 * MEBIBYTE, "20Gi"),
    ],
)
def test_amounts_in_words(count: int, words: str) -> None:
    assert in_words(count) == words


@given(st.integers(0, 1 << 50))
def test_no_more_is_said_than_was_seen(count: int) -> None:
    assert quantity.value(in_words(count)) <= count


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (0, "[----------] 0%"),
        (9, "[----------] 9%"),
        (50, "[#####-----] 50%"),
        (92, "[#########-] 92%"),
        (99, "[#########-] 99%"),
        (100, "[##########] 100%"),
        (130, "[##########] 130%"),
    ],
)
def test_the_bar_says_in_figures_what_it_shows(part: int, words: str) -> None:
    assert bar(part, 100) == words
    assert percent(part, 100) == part


def test_pods_near_their_limit_by_the_kubelets_counters() -> None:
    entries = [
        ContainerCounters("shop", name, container, None, working_set_bytes=used, limit_bytes=limit)
        for name, container, used, limit in (
            ("near", "app", 90, 100),
            ("far", "app", 89, 100),
            ("free", "app", 90, None),
            ("unknown", "app", None, 100),
            ("whole", "", 99, 100),
            ("sandbox", "POD", 99, 100),
        )
    ]
    assert near_by_counters(entries, 0.9) == {"shop/near"}


SMALLER = [{"name": "app", "resources": {"limits": {"memory": "200Mi"}}}]


@pytest.mark.parametrize(
    ("found", "used", "near"),
    [
        (pod(), 231, True),
        (pod(), 230, False),
        (pod(limit=None), 9999, False),
        (pod(limit="0"), 9999, False),
        (pod(limit="much"), 9999, False),
        (pod(containerStatuses=SMALLER), 180, True),
        (pod(containerStatuses=SMALLER), 179, False),
        (pod("other"), 256, False),
    ],
)
def test_who_is_near_the_limit(found: Pod, used: int, near: bool) -> None:
    assert NearLimit(0.9, {("shop", OWN): {"app": used * MEBIBYTE}}).shows(found) == near


APP, CACHE = Observed(300 * MEBIBYTE, "the peak of 300Mi"), Observed(100 * MEBIBYTE, "the 100Mi in use now")


@pytest.mark.parametrize(
    ("containers", "seen"),
    [
        ({}, None),
        ({"app": APP}, APP),
        (
            {"app": APP, "cache": CACHE},
            Observed(400 * MEBIBYTE, "the 400Mi of its containers together (app 300Mi, cache 100Mi)"),
        ),
    ],
)
def test_the_use_of_a_pods_containers_together(containers: dict[str, Observed], seen: Observed | None) -> None:
    assert together(containers) == seen
