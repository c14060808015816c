"""Every case of a generation."""

from __future__ import annotations

import itertools

from .case import Case, Place
from .limits import limit_cases
from .scenarios import scenario_cases


def cases(generation: str) -> list[Case]:
    """In the order of their run: by cgroup version, the runtimes' like cases side by side."""
    found: list[Case] = []
    for cgroup in ("v1", "v2"):
        places = [Place(generation, cgroup, runtime) for runtime in ("runc", "crun")]
        for make in (limit_cases, scenario_cases):
            side_by_side = itertools.zip_longest(*(make(place) for place in places))
            found += [case for group in side_by_side for case in group if case is not None]
    return found
