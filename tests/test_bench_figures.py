"""The bench's page: which bounds a run keeps, what becomes of failures, and what the chart shows."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench import page
from bench.chart import chart
from bench.figures import FLOOR_JSON, FLOOR_PROTOBUF, KUBECTL_JSON, KUBECTL_TABLE, MEMDOCTOR, Row, Size, bounds
from bench.fleet import RULES, place, seeded
from bench.measure import Taken

SVG = "{http://www.w3.org/2000/svg}"


def row(name: str, wall: float = 1.0, peak_mb: float = 50.0, code: int = 0) -> Row:
    runs = tuple(
        Taken(wall=wall + more, cpu=wall, peak_mb=peak_mb, exit_code=code, server_cpu=wall) for more in (1, 0, 2)
    )
    return Row(name, runs)


SMALL = Size(1_000, (row(MEMDOCTOR, 0.5), row(KUBECTL_TABLE, 0.8)), 0.4, ())
LARGE = Size(
    100_000,
    (
        replace(row(MEMDOCTOR, 4.0, peak_mb=75.0), found=499, seeded=500, others=2),
        row(FLOOR_PROTOBUF, 3.5),
        row(FLOOR_JSON, 7.0),
        row(KUBECTL_TABLE, 50.0, peak_mb=4_400),
        Row(KUBECTL_JSON, note="not run: it takes about 15,000 MB of memory"),
    ),
    0.9,
    (),
)


def test_a_bound_is_reached_or_not_by_the_best_runs_of_the_largest_size() -> None:
    found = {bound.what: (bound.measured, bound.reached) for bound in bounds([LARGE, SMALL])}
    assert found == {
        "wall, of the fastest loop in pages (protobuf, pages of 500)": ("1.14 x", True),
        "wall, of the bare loop with JSON": ("0.57 x", False),
        "wall, of `kubectl get pods -A`": ("0.08 x", True),
        "the API server's processor, of the bare loop with JSON": ("0.57 x", False),
        "peak memory": ("75 MB", True),
        "more memory for 100,000 pods than for 1,000": ("25 MB", False),
        "first critical finding on a terminal": ("0.90 s", True),
    }


def test_who_was_not_run_or_finds_too_little_keeps_a_row_that_says_so() -> None:
    failed = replace(row("another", code=2), note="error: no such thing")
    lines = page.cluster_block([replace(LARGE, rows=(*LARGE.rows, failed))], "").splitlines()
    of = {
        name: line for name in (MEMDOCTOR, KUBECTL_JSON, "another") for line in lines if line.startswith(f"| {name} |")
    }
    assert "| 499 of 500, and 2 others |" in of[MEMDOCTOR]
    assert "| 4.00 / 5.00 |" in of[MEMDOCTOR]
    assert "not run: it takes about 15,000 MB" in of[KUBECTL_JSON]
    assert "| 2: error: no such thing |" in of["another"]


def test_a_block_of_the_page_is_replaced_and_the_prose_stays() -> None:
    before = "# Title\n\n<!-- measured: one -->\nold\n<!-- end: one -->\n\nwords\n"
    after = page.with_block(before, "one", "new\n")
    assert after == "# Title\n\n<!-- measured: one -->\n\nnew\n\n<!-- end: one -->\n\nwords\n"
    assert page.with_block(after, "one", "new") == after
    with pytest.raises(ValueError, match="no place for two"):
        page.with_block(before, "two", "new")


def test_the_page_has_a_place_for_all_that_is_measured() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in ("bounds", "cluster", "recordings", "node logs"):
        assert "x" in page.with_block(text, name, "x")


def test_the_chart_shows_who_ran_in_both_panels() -> None:
    drawing = ElementTree.fromstring(chart([LARGE, SMALL]))
    points = [title.text or "" for circle in drawing.iter(f"{SVG}circle") for title in circle.iter(f"{SVG}title")]
    assert "kubectl memdoctor ns --all -o json, 100,000 pods: 4.00 seconds" in points
    assert "kubectl get pods -A, 100,000 pods: 4,400.00 MB at the peak" in points
    assert not any(text.startswith(KUBECTL_JSON.strip("`")) for text in points)
    # 2 + 2 of memdoctor and of the table each, 1 + 1 of the bare loop.
    assert len(points) == 10


def test_a_chart_of_one_size_has_no_division_by_nothing() -> None:
    assert "<circle" in chart([SMALL])


def test_places_differ_and_their_marks_are_as_long_everywhere() -> None:
    places = [place(number) for number in (0, 9, 10, 99_999, 199_999)]
    assert len({tuple(map(len, where.marks())) for where in places}) == 1
    assert len({where.marks() for where in places}) == len(places)


@pytest.mark.parametrize(("pods", "each"), [(1_000, 1), (2_000, 2), (100_000, 100)])
def test_each_rule_has_its_share_of_what_is_seeded(pods: int, each: int) -> None:
    found = seeded(pods)
    assert {rule: sum(one.rule == rule for one in found) for rule in RULES.values()} == dict.fromkeys(
        RULES.values(), each
    )
    assert len({(one.namespace, one.name) for one in found}) == len(found)


def test_what_is_seeded_does_not_change_with_the_number_of_pods() -> None:
    assert seeded(1_000) < seeded(2_000)
