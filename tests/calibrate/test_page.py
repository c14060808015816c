"""The sentences that a person reads before and after."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubectl_memdoctor.calibration.manifests import Run
from kubectl_memdoctor.calibration.nodes import Image, Runtime, Target
from kubectl_memdoctor.calibration.page import plan, results
from kubectl_memdoctor.calibration.run import NodeRun
from kubectl_memdoctor.calibration.search import grid
from kubectl_memdoctor.measured_minimum import Measurement, Try, failed_bytes, ready_bytes
from kubectl_memdoctor.objects import ObjectMeta
from kubectl_memdoctor.temporary.places import NodeSpec, Place

from .pretended_cluster import POOL

KIB, MIB = 1 << 10, 1 << 20


def node_run(
    *tries: Try,
    alone: tuple[Try, ...] = (),
    nodes: tuple[str, ...] = ("worker-1",),
    remark: str = "",
    sandbox_remark: str = "",
) -> NodeRun:
    place = Place(metadata=ObjectMeta(name="worker-1"))
    run = NodeRun(Target(place, POOL, Image("pause:1", is_there=True), Runtime(), nodes), grid(), tries, alone)
    run.words = {entry.limit_bytes: "container init was OOM-killed" for entry in tries if entry.failed}
    run.sandbox_words = {entry.limit_bytes: "cannot start a stopped process" for entry in alone if entry.failed}
    run.end(remark=remark, sandbox_remark=sandbox_remark)
    return run


def said(run: NodeRun) -> list[str]:
    ready = ready_bytes(run.tries)
    assert ready is not None
    measurement = Measurement(
        node="worker-1",
        pool=POOL,
        failed_bytes=failed_bytes(run.tries),
        ready_bytes=ready,
        tries=run.tries,
        sandbox_tries=run.sandbox_tries,
        image="pause:1",
        taken_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    return [*results([measurement], [run])]


def tried(limit: int, ready: int, failed: int = 0, failed_at: str = "") -> Try:
    return Try(limit_bytes=limit, ready=ready, failed=failed, failed_at=failed_at)  # type: ignore[arg-type]


SHARP = (tried(4 * MIB, 8), tried(3 * MIB, 0, 2, "sandbox"))
BY_CHANCE = (
    tried(8 * MIB, 8),
    tried(7 * MIB, 3, 1, "sandbox"),
    tried(4 * MIB, 1, 1, "sandbox"),
    tried(MIB, 0, 2, "sandbox"),
)


@pytest.mark.parametrize(
    ("tries", "second"),
    [
        (SHARP, "  With 3Mi none did."),
        (BY_CHANCE, "  With 7Mi only some did, with 1Mi none: in between it is chance."),
        (BY_CHANCE[:3], "  With 7Mi only some did: in between it is chance."),
        ((tried(16 * KIB, 8),), "  Even 16Ki, the smallest limit that was tried, was enough every time."),
    ],
)
def test_the_figure_and_its_spread(tries: tuple[Try, ...], second: str) -> None:
    first, found, *_ = said(node_run(*tries))
    ready = (
        f"{(ready_bytes(tries) or 0) // KIB}Ki" if tries[0].limit_bytes < MIB else f"{tries[0].limit_bytes // MIB}Mi"
    )
    assert first == f"Node worker-1: pods start with a memory limit of {ready} or more."
    assert found == second


def test_every_limit_has_a_row() -> None:
    lines = said(node_run(*BY_CHANCE))
    assert lines[lines.index("") + 1 :] == [
        "  LIMIT    READY      FAILED WITH",
        "  8Mi      8 of 8",
        "  7Mi      3 of 4     sandbox: container init was OOM-killed",
        "  4Mi      1 of 2     sandbox: container init was OOM-killed",
        "  1Mi      0 of 2     sandbox: container init was OOM-killed",
    ]


def test_sandboxes_that_need_less() -> None:
    tries = (tried(4 * MIB, 8), tried(3 * MIB, 0, 2, "container"), tried(2 * MIB, 0, 2, "sandbox"))
    assert "  Sandboxes alone start with 3Mi; their containers need the rest." in said(node_run(*tries))
    for run in (node_run(*SHARP), node_run(*tries, sandbox_remark="images are pinned")):
        assert not [line for line in said(run) if "alone" in line]


def test_sandboxes_that_were_measured_alone_have_rows_of_their_own() -> None:
    tries = (tried(4 * MIB, 8), tried(3 * MIB, 0, 2), tried(2 * MIB, 0, 2, "sandbox"))
    lines = said(node_run(*tries, alone=(tried(3 * MIB, 4), tried(2560 * KIB, 0, 1, "sandbox"))))
    assert "  Sandboxes alone start with 3Mi; their containers need the rest." in lines
    assert lines[lines.index("") + 1 :] == [
        "  LIMIT    READY      FAILED WITH",
        "  4Mi      8 of 8",
        "  3Mi      0 of 2     container init was OOM-killed",
        "  2Mi      0 of 2     sandbox: container init was OOM-killed",
        "",
        "  LIMIT    SANDBOXES  FAILED WITH",
        "  3Mi      4 of 4",
        "  2560Ki   0 of 1     sandbox: cannot start a stopped process",
    ]


def test_whom_it_stands_for_and_why_it_is_not_closer() -> None:
    lines = said(node_run(*SHARP, nodes=("worker-1", "worker-2", "worker-3"), remark="it was stopped after 15 minutes"))
    assert "  Holds for worker-2, worker-3 as well: of the same kind." in lines
    assert "  Not closer, since it was stopped after 15 minutes." in lines


OWN = Run("bcdfg", "memdoctor-calibrate-bcdfg", True, "x-1")
GIVEN = Run("bcdfg", "shop", False, "x-1")


def planned(run: Run, target: Target, *, saves: bool = False) -> str:
    return "\n".join(plan(run, [target], "https://k", saves=saves))


def test_the_plan_names_all_that_is_made() -> None:
    target = node_run(*SHARP, nodes=("worker-1", *(f"other-{number}" for number in range(9)))).target
    told = planned(OWN, target, saves=True)
    assert "  namespace/memdoctor-calibrate-bcdfg\n" in told
    assert "  at most 30 pods on node worker-1, 4 at a time\n" in told
    assert "image pause:1, memory limits from 16Ki to 1Gi" in told
    assert "for sandboxes alone image pause:memdoctor-no-such-tag-bcdfg, which exists nowhere" in told
    assert "it stands for other-0, other-1, other-2 and 6 more nodes of its kind" in told
    assert "the image is listed by another node" in told
    assert "configmap/memdoctor-sandbox-minimum in namespace kube-public (--save)" in told
    given = planned(GIVEN, target)
    assert "  configmap/memdoctor-calibrate-bcdfg in namespace shop\n" in given
    assert "kube-public" not in given


def test_a_cordoned_node_is_told() -> None:
    place = Place(metadata=ObjectMeta(name="worker-1"), spec=NodeSpec(unschedulable=True))
    target = Target(place, POOL, Image("pause:1", is_there=False), Runtime(), ("worker-1",))
    told = planned(OWN, target)
    assert "the node is cordoned: these pods go there all the same" in told
    assert "listed by another node" not in told
