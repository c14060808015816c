"""A chart of seconds and of memory against pods, as an SVG that needs nothing but itself.

Its looks are those of the documentation's other charts. Both axes grow tenfold from line to line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from generator.span_chart import COLOURS, FOR_READERS, STYLE, STYLE_IN_THE_DARK

from bench.figures import FLOOR_PROTOBUF, KUBECTL_JSON, KUBECTL_TABLE, MEMDOCTOR, Row, Size

WIDTH, HEIGHT = 930, 380
TOP, BOTTOM = 76, 40
PANELS = ((70, 430), (535, 895))
"""Pixels from where to where."""
SHOWN = (MEMDOCTOR, FLOOR_PROTOBUF, KUBECTL_TABLE, KUBECTL_JSON)
"""In the order of COLOURS."""
TITLE = "All pods of a cluster: seconds and memory, by number of pods"


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    figure: Callable[[Row], float]
    left: float
    right: float
    pods: Sequence[int]
    lowest: int
    """Power of ten at the bottom."""
    highest: int

    def x(self, pods: int) -> float:
        first, last = math.log10(min(self.pods)), math.log10(max(self.pods))
        if first == last:
            return (self.left + self.right) / 2
        return self.left + (math.log10(pods) - first) / (last - first) * (self.right - self.left)

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.lowest) / (self.highest - self.lowest)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def chart(sizes: Sequence[Size]) -> str:
    """Sizes that lack a contender leave its line shorter."""
    ordered = sorted(sizes, key=lambda size: size.pods)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FOR_READERS}>',
        f'<title id="title">{TITLE}</title>',
        f'<desc id="description">{escape(_described(ordered))}</desc>',
        f"<style>\n{_style()}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="12" y="20">{TITLE}</text>',
        *_legend(),
    ]
    for (left, right), title, figure in zip(
        PANELS, ("seconds", "MB at the peak"), (Row.wall, Row.peak_mb), strict=True
    ):
        lines += _panel(_fitted(title, figure, left, right, ordered), ordered)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _fitted(title: str, figure: Callable[[Row], float], left: float, right: float, sizes: Sequence[Size]) -> Panel:
    values = [figure(row) for size in sizes for name, row in size.by_name().items() if name in SHOWN]
    lowest, highest = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return Panel(title, figure, left, right, [size.pods for size in sizes], lowest, max(highest, lowest + 1))


def _legend() -> Iterator[str]:
    for number, name in enumerate(SHOWN):
        x = 12 + number * 228
        yield f'<rect class="colour{number}" x="{x}" y="32" width="10" height="10" rx="2"/>'
        yield f'<text x="{x + 15}" y="41">{escape(name.strip("`"))}</text>'


def _panel(panel: Panel, sizes: Sequence[Size]) -> Iterator[str]:
    yield f'<text class="group" x="{panel.left}" y="{TOP - 12}">{panel.title}</text>'
    for power in range(panel.lowest, panel.highest + 1):
        y = f"{panel.y(10**power):.1f}"
        yield f'<line class="grid" x1="{panel.left}" y1="{y}" x2="{panel.right}" y2="{y}"/>'
        yield f'<text class="end" x="{panel.left - 8}" y="{y}" dy="4">{10**power:,g}</text>'
    for size in sizes:
        yield f'<text class="middle" x="{panel.x(size.pods):.1f}" y="{HEIGHT - 18}">{size.pods:,}</text>'
    for number, name in enumerate(SHOWN):
        yield from _line(panel, number, name, sizes)


def _line(panel: Panel, number: int, name: str, sizes: Sequence[Size]) -> Iterator[str]:
    figures = [(size.pods, panel.figure(size.by_name()[name])) for size in sizes if name in size.by_name()]
    points = [(panel.x(pods), panel.y(figure)) for pods, figure in figures]
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline class="line{number}" points="{way}"/>'
    for (x, y), (pods, figure) in zip(points, figures, strict=True):
        said = escape(f"{name.strip('`')}, {pods:,} pods: {figure:,.2f} {panel.title}")
        yield f'<circle class="colour{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{said}</title></circle>'


def _described(sizes: Sequence[Size]) -> str:
    """The same for those who do not see it."""
    largest = sizes[-1]
    rows = largest.by_name()
    said = (
        f"{name.strip('`')} {rows[name].wall():,.1f} seconds and {rows[name].peak_mb():,.0f} MB"
        for name in SHOWN
        if name in rows
    )
    return f"With {largest.pods:,} pods: {'; '.join(said)}."


def _style() -> str:
    light, dark = (
        "".join(
            f".colour{number} {{ fill: {pair[shade]}; }}\n"
            f".line{number} {{ fill: none; stroke: {pair[shade]}; stroke-width: 2; }}\n"
            for number, pair in enumerate(COLOURS)
        )
        for shade in (0, 1)
    )
    return f"{STYLE}{light}@media (prefers-color-scheme: dark) {{\n{STYLE_IN_THE_DARK}{dark}}}\n"
