"""A chart of spans in bytes on a logarithmic axis, as an SVG that needs nothing but itself.

It brings its own background, so that it reads on light and dark pages alike; the colours follow the reader's setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from kubectl_memdoctor.quantity import format_bytes

WIDTH = 930
LEFT = 310
"""Pixels for the names; the figures stand right of the plot."""
RIGHT = 130
GAP = 24
"""Between the names and the axis, whose first figure stands half in it."""
TOP = 44
BAR = 13
BETWEEN_GROUPS = 9
AXIS = 26

FOR_READERS = 'role="img" aria-labelledby="title description"'
COLOURS = (("#0072b2", "#56b4e9"), ("#009e73", "#2fc79b"), ("#d55e00", "#f0914d"), ("#8a5a9e", "#cc9bdf"))
"""On light and on dark ground; told apart also with colour blindness: https://jfly.uni-koeln.de/color/"""
STYLE = """\
text { font: 11px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; }
.title { font-size: 14px; font-weight: 600; }
.group { font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.figures { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
.ground { fill: #ffffff; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
"""
STYLE_IN_THE_DARK = """\
text { fill: #f0f6fc; }
.figures { stroke: #0d1117; }
.ground { fill: #0d1117; }
.grid { stroke: #3d444d; }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    low: int
    high: int
    """Bytes, 0 < low < high."""
    colour: int
    """Which of COLOURS."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    bars: tuple[Bar, ...]


def chart(title: str, description: str, names: str, groups: Sequence[Group]) -> str:
    """`description` is for those who do not see it; `names` says what the bars' names are."""
    bars = [bar for group in groups for bar in group.bars]
    first = math.floor(math.log2(min(bar.low for bar in bars)))
    last = math.ceil(math.log2(max(bar.high for bar in bars)))
    height = TOP + AXIS + sum(len(group.bars) * BAR + BETWEEN_GROUPS for group in groups)

    def x(size: int) -> float:
        return LEFT + (math.log2(size) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FOR_READERS}>',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>\n{_style()}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="20">{escape(title)}</text>',
        f'<text class="end" x="{LEFT - GAP}" y="{TOP - 8}">{escape(names)}</text>',
    ]
    for power in range(first, last + 1):
        at = f"{x(1 << power):.1f}"
        lines.append(f'<line class="grid" x1="{at}" y1="{TOP - 4}" x2="{at}" y2="{height - AXIS + 4}"/>')
        label = format_bytes(1 << power)
        lines += [f'<text class="middle" x="{at}" y="{y}">{label}</text>' for y in (TOP - 8, height - 8)]
    y = TOP + BETWEEN_GROUPS / 2
    for group in groups:
        lines.append(f'<text class="group" x="12" y="{y + BAR - 3:.1f}">{escape(group.name)}</text>')
        for bar in group.bars:
            lines += _bar(bar, x(bar.low), x(bar.high), y)
            y += BAR
        y += BETWEEN_GROUPS
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(bar: Bar, left: float, right: float, y: float) -> Iterator[str]:
    base = y + BAR - 3
    figures = f"{format_bytes(bar.low)} to {format_bytes(bar.high)}"
    yield f'<text class="end" x="{LEFT - GAP}" y="{base:.1f}">{escape(bar.name)}</text>'
    yield (
        f'<rect class="colour{bar.colour}" x="{left:.1f}" y="{y + 2:.1f}" width="{max(right - left, 2):.1f}" '
        f'height="{BAR - 3}" rx="2"><title>{escape(bar.name)}: {figures}</title></rect>'
    )
    yield f'<text class="figures" x="{right + 6:.1f}" y="{base:.1f}">{figures}</text>'


def _style() -> str:
    light, dark = (
        "".join(f".colour{number} {{ fill: {pair[shade]}; }}\n" for number, pair in enumerate(COLOURS))
        for shade in (0, 1)
    )
    return f"{STYLE}{light}@media (prefers-color-scheme: dark) {{\n{STYLE_IN_THE_DARK}{dark}}}\n"
