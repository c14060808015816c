"""The charts of sandbox-minimum.md: what they show is to scale, and reads without colours, in the dark and aloud."""

from __future__ import annotations

import importlib
import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from kubectl_memdoctor.quantity import format_bytes
from kubectl_memdoctor.sandbox_minimum import table

from .pages import DOCS

CHARTS = ("sandbox-minimum.svg", "sandbox-minimum-cpus.svg")
SVG = "{http://www.w3.org/2000/svg}"
KIB, MIB = 1 << 10, 1 << 20

on_every_chart = pytest.mark.parametrize("name", CHARTS)


@pytest.fixture
def span_chart(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("generator.span_chart")


def bars(svg: str) -> list[ElementTree.Element]:
    return [rect for rect in ElementTree.fromstring(svg).iter(f"{SVG}rect") if "colour" in rect.get("class", "")]


def texts(svg: str, of_class: str | None = None) -> list[str]:
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return [text.text or "" for text in found if of_class in (None, text.get("class"))]


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one) + 0.05, luminance(other) + 0.05), reverse=True)
    return light / dark


@on_every_chart
def test_a_chart_tells_what_it_shows_and_needs_nothing_else(name: str) -> None:
    svg = (DOCS / name).read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    described = (root.get("aria-labelledby") or "").split()
    assert [element.tag for element in root if element.get("id") in described] == [f"{SVG}title", f"{SVG}desc"]
    assert all((element.text or "").strip() for element in root if element.get("id") in described)
    assert "prefers-color-scheme: dark" in svg
    assert not re.search(r"href|url\(|@import|<script|<image", svg)


def test_every_usual_row_has_a_bar_with_its_figures() -> None:
    svg = (DOCS / CHARTS[0]).read_text(encoding="utf-8")
    rows = [row for row in table().rows if row.cpus in (None, 2)]
    figures = sorted(f"{format_bytes(row.failed_bytes)} to {format_bytes(row.ran_bytes)}" for row in rows)
    assert sorted(texts(svg, "figures")) == figures
    assert len(bars(svg)) == len(rows)


def test_bars_are_to_scale(span_chart: Any) -> None:
    spans = ((64 * KIB, 128 * KIB), (MIB, 4 * MIB), (3 * MIB, 3 * MIB + 4096))
    made = tuple(span_chart.Bar(f"bar {low}", low, high, 0) for low, high in spans)
    drawn = bars(span_chart.chart("T", "D", "", [span_chart.Group("g", made)]))
    doubling = float(drawn[0].get("width", ""))
    starts = [float(bar.get("x", "")) for bar in drawn]
    assert float(drawn[1].get("width", "")) == pytest.approx(2 * doubling, abs=0.2)
    assert starts[1] - starts[0] == pytest.approx(4 * doubling, abs=0.2)
    assert starts[2] - starts[1] == pytest.approx(math.log2(3) * doubling, abs=0.2)
    assert float(drawn[2].get("width", "")) >= 2


def test_names_are_text_and_nothing_but_text(span_chart: Any) -> None:
    hostile = '<b>&"'
    bar = span_chart.Bar(hostile, 4096, 8192, 1)
    svg = span_chart.chart(hostile, hostile, hostile, [span_chart.Group(hostile, (bar,))])
    assert texts(svg).count(hostile) == 4


def test_colours_stand_out_on_both_grounds(span_chart: Any) -> None:
    light, dark = (
        re.findall(r"\.ground { fill: (#\w+)", style)[0] for style in (span_chart.STYLE, span_chart.STYLE_IN_THE_DARK)
    )
    for on_light, on_dark in span_chart.COLOURS:
        assert contrast(on_light, light) >= 3
        assert contrast(on_dark, dark) >= 3
    words = [
        re.findall(r"text {.*fill: (#\w+)", style)[0] for style in (span_chart.STYLE, span_chart.STYLE_IN_THE_DARK)
    ]
    assert contrast(words[0], light) >= 7
    assert contrast(words[1], dark) >= 7
