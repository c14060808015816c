"""docs/sandbox-minimum.md and its charts: the measured table that the program decides by, and how it came about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_memdoctor.quantity import format_bytes
from kubectl_memdoctor.runtime_kind import version_key
from kubectl_memdoctor.sandbox_minimum import HEADROOM, Refusal, Row, Unmeasured, table

from . import GENERATED
from .span_chart import Bar, Group, chart

RULE_OF_THUMB = "https://docs.okd.io/4.10/nodes/containers/nodes-containers-using.html"
BY_HAND = "By hand"
"""How rows begin that the lab did not measure."""
USUAL_CPUS = 2
"""All runtimes were measured with so many."""
MOST_CPUS = 8
"""Of the lab's plan."""
COLOURS = {("v1", "madvise"): 0, ("v2", "madvise"): 1, ("v2", "always"): 2}
OTHER_COLOUR = 3

READING = """\
Left of a bar no pod's sandbox started, right of it every one did; within it, it is chance. The axis doubles from line
to line. Figures hold for the sandbox alone: the pod's containers need theirs on top, out of the same limit."""

MEANING = """\
What decides, the largest effect first:

- **runc or crun.** crun needs a fraction of what runc needs.
- **runc 1.1.15.** It copies itself, a program of more than 10 MB, into the pod's memory
  ([why](https://github.com/opencontainers/runc/issues/4427)). Whether that counts differs from start to start, hence
  its long bar. Releases before and after it do not.
- **The build.** Programs of nearly the same version differ: compare 1.1.5, as Debian 12 builds it, with 1.1.12, built
  as its releases are. They differ in size, in the version of Go, and in whether they are position-independent; which
  of it matters was not measured one by one.
- **The kernel and its settings.** The two kernels differ in version, cgroup version and
  [transparent huge pages](https://docs.kernel.org/admin-guide/mm/transhuge.html) (`always` or `madvise`, in the chart).
  With `always` the first byte that a program keeps can cost 2Mi at once. Which of the three does how much was not
  measured one by one. A node tells of none but the kernel, so a finding counts with all rows that may fit, unless
  [your own nodes](#your-own-nodes) were measured."""

METHOD = """\
Each try is what the kubelet does for a pod. A cgroup is made as for the pod and gets the memory limit; containerd is
asked, through the same interface as by the kubelet, to start a sandbox in it, with the default seccomp profile, a
read-only root file system and a network namespace of its own. It counts as started when it is ready, and still is after
half a second (a second in the virtual machine). Then all is removed.

- The network plugin is one that only answers: plugins run in containerd's cgroup, so the pod's limit is not for them.
- Limits are whole pages, no more than 1/8 apart. The edges are searched by bisection. Each is tried as often as the
  table says, and counts only when the limits beyond it agree.
- runc from source is built as its releases are (static, stripped, from 1.1 on position-independent), but with a newer
  Go. The table has the size of every build.
- Every limit, how often it was tried and started, and the errors are in
  [tests/lab/measured](../tests/lab/measured), a file for each build on each kind of machine. `make lab` measures, on
  Linux as root: natively under cgroup v1, and in virtual machines (qemu) under both versions. What is missing there it
  measures next."""

YOUR_OWN = """\
`calibrate` finds the minimum of a node by starting pods with falling limits on it:

```console
$ kubectl memdoctor calibrate --node worker-1
```

With `--save` later runs use the figures instead of this table, for all nodes of the same kind. `--minimum` takes a
figure from elsewhere. [cli.md](cli.md#kubectl-memdoctor-calibrate) has all of it."""

REFUSALS = """\
Some engines refuse a limit under a minimum of their own, before any runtime is asked. A minimum that is not fixed can
be changed in the engine's configuration."""

UNMEASURED = f"""\
Runtimes that nobody has measured get a wide span, from one page up: under it a limit is suspected, memory is ruled out
only from the second figure on. For measured runtimes memory is ruled out from {HEADROOM} times their largest figure."""

TAKEN_OVER = """\
Nothing was measured under these engines, nor with larger pages than 4Ki. What was measured elsewhere is taken over;
known larger pages round the figures up and widen what is not ruled out. A finding that rests on it says so."""


def page() -> str:
    known = table()
    parts = [
        GENERATED,
        "# What a sandbox needs, measured",
        _introduction(),
        f"![{_described()}](sandbox-minimum.svg)",
        READING,
        MEANING,
        "## The number of CPUs",
        _cpus(),
        "![The same spans by number of CPUs](sandbox-minimum-cpus.svg)",
        "## Your own nodes",
        YOUR_OWN,
        "## Every figure",
        "A row stands for all versions that are given with it.",
        _table(
            ["runtime", "versions", "cgroup", "none started up to", "all started from", "where", "when", "how"],
            map(_row, known.rows),
        ),
        "## How it was measured",
        METHOD,
        *_by_hand(),
        *_still_missing(),
        "## What engines refuse",
        REFUSALS,
        _table(["engine", "versions", "runtime", "minimum", "fixed", "from source"], map(_refusal, known.refusals)),
        "## Not measured",
        UNMEASURED,
        _table(["runtime", "suspected under", "ruled out from", "why"], map(_unmeasured, known.unmeasured)),
        TAKEN_OVER,
        _table(["what", "why"], _taken_over()),
    ]
    return "\n\n".join(parts) + "\n"


def spans_chart() -> str:
    """sandbox-minimum.svg"""
    rows = [row for row in table().rows if row.cpus in (None, USUAL_CPUS)]
    groups = [Group(name, tuple(map(_kernel_bar, members))) for name, members in _builds(rows).items()]
    return chart("Memory limit with which a pod's sandbox starts", _described(), "cgroup, huge pages", groups)


def cpus_chart() -> str:
    """sandbox-minimum-cpus.svg"""
    counted = [row for rows in _counted_builds().values() for row in rows]
    groups = [Group(name, tuple(map(_cpus_bar, members))) for name, members in _builds(counted).items()]
    return chart(
        "Memory limit with which it starts, by number of CPUs", " ".join(_cpus().split()), "cgroup, huge pages", groups
    )


def _introduction() -> str:
    rows = table().rows
    most = max(rows, key=lambda row: row.ran_bytes)
    least = min(rows, key=lambda row: row.failed_bytes)
    low, high = format_bytes(least.failed_bytes), format_bytes(most.ran_bytes)
    return f"""\
A pod's memory limit must leave room for its sandbox, before any container starts. How much depends on the container
runtime: from more than {low} ({least.runtime} {least.version}) up to {high} ({most.runtime} {most.version}). How the
program uses these figures stands in [how-it-knows.md](how-it-knows.md#what-a-sandbox-needs)."""


def _by_hand() -> Iterator[str]:
    names = [f"{row.runtime} {row.version} ({row.cgroup})" for row in table().rows if row.how.startswith(BY_HAND)]
    if names:
        yield f"""\
Not measured so, but {BY_HAND.lower()} and with less care: {", ".join(names)}. Such a row stays until its versions are
measured with both settings of huge pages; beside newer rows it only widens what is not known."""


def _still_missing() -> Iterator[str]:
    measured = [row for row in table().rows if not row.source and not row.how.startswith(BY_HAND)]
    names = list(dict.fromkeys(f"{row.runtime} {row.version}" for row in measured))
    on_v2 = {f"{row.runtime} {row.version}" for row in measured if row.cgroup == "v2"}
    missing = [name for name in names if name not in on_v2]
    if missing:
        yield f"Not measured under cgroup v2 yet: {', '.join(missing)}."
    most = max(_count(row) for row in measured)
    if most < MOST_CPUS:
        yield f"No machine with more than {most} CPUs was measured yet; the virtual ones can have {MOST_CPUS}."


def _described() -> str:
    rows = [row for row in table().rows if row.cpus in (None, USUAL_CPUS)]
    spans = {
        runtime: (min(row.failed_bytes for row in own), max(row.ran_bytes for row in own))
        for runtime in sorted({row.runtime for row in rows})
        if (own := [row for row in rows if row.runtime == runtime])
    }
    said = ", ".join(
        f"{runtime} between {format_bytes(low)} and {format_bytes(high)}" for runtime, (low, high) in spans.items()
    )
    return f"Spans of memory limits, per runtime, cgroup version and huge pages: {said}"


def _cpus() -> str:
    """What the measurements say of it, without judging it."""
    kinds = _counted_builds().values()
    counts = sorted({_count(row) for rows in kinds for row in rows})
    changes = sorted(max(rows, key=_count).ran_bytes / min(rows, key=_count).ran_bytes for rows in kinds)
    return f"""\
Between {counts[0]} and {counts[-1]} CPUs the limit from which all sandboxes start changed to {changes[0]:.1f} to \
{changes[-1]:.1f} times of what it was,
over {len(changes)} builds and kinds of machine. Limits were tried in steps of up to 1.125 times. What old kernels
charge for each CPU of large machines ([half a MiB, as a rule of thumb]({RULE_OF_THUMB})) is reckoned on top."""


def _count(row: Row) -> int:
    return row.cpus or 0


def _builds(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Smallest runtime first."""
    ordered = sorted(
        rows, key=lambda row: (row.runtime, version_key(row.version), row.version, row.cgroup, _kind(row), _count(row))
    )
    builds: dict[str, list[Row]] = {}
    for row in ordered:
        builds.setdefault(f"{row.runtime} {row.version}", []).append(row)
    return builds


def _counted_builds() -> dict[str, list[Row]]:
    """Those of one kind of kernel that were measured with several numbers of CPUs."""
    kinds: dict[str, list[Row]] = {}
    for name, rows in _builds(row for row in table().rows if row.cpus).items():
        for row in rows:
            kinds.setdefault(f"{name}, {_kind(row)}", []).append(row)
    return {name: sorted(rows, key=_count) for name, rows in kinds.items() if len(rows) > 1}


def _kind(row: Row) -> str:
    if row.source:
        return f"{row.cgroup}, reported"
    if row.how.startswith(BY_HAND):
        return f"{row.cgroup}, by hand"
    return f"{row.cgroup}, {row.huge_pages}" if row.huge_pages else row.cgroup


def _kernel_bar(row: Row) -> Bar:
    return Bar(_kind(row), row.failed_bytes, row.ran_bytes, COLOURS.get((row.cgroup, row.huge_pages), OTHER_COLOUR))


def _cpus_bar(row: Row) -> Bar:
    noun = "CPU" if row.cpus == 1 else "CPUs"
    colour = COLOURS.get((row.cgroup, row.huge_pages), OTHER_COLOUR)
    return Bar(f"{_kind(row)}, {row.cpus} {noun}", row.failed_bytes, row.ran_bytes, colour)


def _row(row: Row) -> list[str]:
    measured = f"{_versions(row.since, row.before)} ({'reported' if row.source else 'measured'}: {row.version})"
    figures = [format_bytes(row.failed_bytes), format_bytes(row.ran_bytes)]
    return [row.runtime, measured, row.cgroup, *figures, row.where, row.taken, row.how]


def _refusal(entry: Refusal) -> list[str]:
    fixed = "yes" if entry.fixed else "no"
    versions = _versions(entry.since, entry.before)
    return [entry.engine, versions, entry.runtime or "any", format_bytes(entry.minimum_bytes), fixed, entry.reference]


def _unmeasured(entry: Unmeasured) -> list[str]:
    figures = [format_bytes(entry.high_bytes), format_bytes(entry.ample_bytes)]
    return [entry.title, *figures, _from_source(entry.note, entry.reference)]


def _from_source(note: str, reference: str) -> str:
    return f"from source: {note}; {reference}" if reference else note


def _taken_over() -> Iterator[list[str]]:
    for engine in table().engines:
        yield [engine.engine, _from_source(engine.note, engine.reference)]
    for pages in table().page_sizes:
        kernels = [pages.architecture or "any architecture", *([f"kernel {pages.kernel}"] if pages.kernel else [])]
        what = f"pages of {format_bytes(pages.page_bytes)} ({', '.join(kernels)})"
        yield [what, _from_source(pages.note, pages.reference)]


def _versions(since: str, before: str) -> str:
    if since and before:
        return f"{since} to before {before}"
    if since:
        return f"{since} and newer"
    return f"before {before}" if before else "all"


def _table(headers: Sequence[str], rows: Iterator[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headers, ["---"] * len(headers), *rows))
