"""How pages word times, headings and long texts."""

from __future__ import annotations

from datetime import timedelta

from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.ink import strong

LONGEST_VALUE = 400
"""Letters of one piece of evidence; of a longer text both ends are shown, since its cause stands at the end."""


def heading(text: str, layout: Layout) -> str:
    return f"  {strong(text, color=layout.color)}"


def ago(age: timedelta) -> str:
    return f"{human_duration(age)} ago" if age >= timedelta(seconds=1) else "just now"


def shortened(text: str, longest: int = LONGEST_VALUE) -> str:
    if len(text) <= longest:
        return text
    head, tail = text[: longest // 3], text[-longest * 2 // 3 :]
    return f"{head.rpartition(' ')[0] or head} [...] {tail.partition(' ')[2] or tail}"
