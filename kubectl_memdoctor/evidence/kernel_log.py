"""The kernel log's reports of the OOM killer -> kills: whose limit, which cgroup, which victim.

Lines of a report stand among others, and two reports may be interleaved: since 4.2 one lock is held around a whole
report, before that two cgroups could report at the same time. A line is given to a report by what it names (its pid,
its cgroup, who printed it), then by the line it has to follow; where more than one report is left, to none of them. A
kill whose report is unknown is a kill in an unknown cgroup.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from kubectl_memdoctor.evidence.allocation_tally import AllocationTally
from kubectl_memdoctor.evidence.failure_tally import shortened
from kubectl_memdoctor.evidence.kept_kills import KeptKills, KillKey
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import MOST_LINES, AllocationFailures, KernelKill
from kubectl_memdoctor.evidence.oom_lines import (
    LONGEST_LINE,
    AlreadyExiting,
    Chosen,
    Counter,
    GroupKill,
    Invoked,
    InvokerCpuset,
    Killed,
    LimitReached,
    MessagesLost,
    NodeMemory,
    NothingKillable,
    OomLine,
    PagesRefused,
    Reaped,
    ReportsSuppressed,
    Running,
    SlabCache,
    SlabRefused,
    Stats,
    Summary,
    TableHead,
    TableRow,
    is_at_or_below,
    read_oom_line,
    read_row,
    split_caller,
)
from kubectl_memdoctor.evidence.oom_report import PAGE_SIZES, Moment, OomReport

OPEN_LINES = 2000
OPEN_SECONDS = 60.0
"""A report that has had no line for so long was cut off. Stacks and memory tables of large nodes fill some hundreds."""
LONGEST_REPORT_LINES = 100_000
LINGER_LINES = 256
LINGER_SECONDS = 10.0
"""So long after its kill a report still takes lines: those of its group, and what came out of order."""
GROUP_SECONDS = 0.2
"""Between two kills of a group; a serial console takes some 10 ms a line."""
SAME_SECOND = 1.0
"""Instead, where times are whole seconds."""
ADJACENT_LINES = 500
ADJACENT_SECONDS = 2.0
"""A decision may stand so far behind the memory table of a large node, and a kill behind its decision."""
SILENT_SECONDS = 1.0
"""Two CPUs that report at the same time both go on within this."""
LOOK_LINES = 64
LOOK_SECONDS = 1.0
"""So often it is looked after reports that have fallen silent."""
MOST_REPORTS = 32
MOST_REMEMBERED = 4096
"""Kills that are known again in a second copy of the same lines, and pids that the reaper may name."""
MOST_PARTS = 5
SLAB_LINES = 3
"""The cache's line stands so close behind its failure, with others' in between."""
SHORTAGE_LINES = 1000
SHORTAGE_SECONDS = 10.0
"""So long after the node itself had no pages, SLUB's failures may be of the same want. Only one of the node's is
reported in that time: https://github.com/torvalds/linux/blob/v5.8/mm/page_alloc.c (warn_alloc, nopage_rs)"""

Entry = TypeVar("Entry")

_ORDER = (
    (Invoked, InvokerCpuset, Running, NodeMemory),
    (LimitReached,),
    (Counter,),
    (Stats,),
    (TableHead,),
    (TableRow,),
    (Summary,),
    (Chosen,),
)
_STAGES: Mapping[type, int] = {kind: stage for stage, kinds in enumerate(_ORDER) for kind in kinds}
"""In every version's reports lines of these kinds stand in this order."""

_OF_OOM_ONLY = (LimitReached, Counter, Stats, TableHead, Summary, Chosen)
"""Of these lines; the others stand in reports of warnings and failed allocations as well."""

_FOLLOWS: Mapping[type, tuple[type, ...]] = {
    InvokerCpuset: (Invoked,),
    Running: (Invoked, InvokerCpuset),
    LimitReached: (Running, InvokerCpuset),
    Counter: (LimitReached, Counter),
}
"""What stands right before a line, as far as it tells two reports apart that are interleaved."""


class KernelLogReader:
    """Takes a node's kernel log line by line. Memory is bounded, whatever the log holds."""

    NEEDLES: tuple[bytes, ...] = (
        b"oom",
        b"illed ",
        b"ut of memory",
        b"SLUB: ",
        b"page allocation failure",
        b"printk messages dropped",
        b" kernel messages",
        b"imjournal: ",
    )
    """A line with none of them is of no interest while no report is open. The last two are of lines of other writers,
    which say what was lost."""

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._kept = KeptKills()
        self._reports: list[OomReport] = []
        self._moment = self._looked = Moment(0, None)
        self._previous: tuple[str, float | None, object] | None = None
        self._part: _Part | None = None
        self._last_killed: OomReport | None = None
        self._kill_line: LogLine | None = None
        self._is_repeated = False
        self._page_size = PAGE_SIZES[0]
        self._has_tables = False
        self._seen: OrderedDict[object, None] = OrderedDict()
        self._killed_pids: OrderedDict[int, None] = OrderedDict()
        self._slab_lines = 0
        self._slab_refused: LogLine | None = None
        self._shortage: Moment | None = None
        self._allocations = AllocationTally(node)
        self._suppressed = self._cut_off = self._reaped = 0
        self._lost = False

    @property
    def kills(self) -> tuple[KernelKill, ...]:
        """Of those that are complete, the ones that are kept (see kept_kills), in the log's order."""
        return self._kept.kills

    @property
    def counts(self) -> Mapping[KillKey, int]:
        """How many kills there were, kept or not, by pod, container and level."""
        return self._kept.counts

    @property
    def allocation_failures(self) -> tuple[AllocationFailures, ...]:
        """What the kernel could not allocate for itself in cgroups of pods and containers, but not what failed while
        the node had no memory either."""
        return self._allocations.failures

    @property
    def gaps(self) -> tuple[str, ...]:
        """Why a kill may be missing, or known without its cgroup."""
        told = (
            (self._suppressed, "the kernel left out {} of its OOM reports (rate limit)"),
            (self._cut_off, "{} OOM reports are cut off"),
            (self._reaped, "{} victims were reaped whose kill is not in the log"),
            (self._lost, "kernel messages were lost before they were logged"),
        )
        return tuple(words.format(count) for count, words in told if count)

    @property
    def is_open(self) -> bool:
        """Whether a report is under way, so that lines without a needle matter as well."""
        return self._part is not None or self._slab_lines > 0 or any(not report.is_done for report in self._reports)

    def read(self, line: LogLine) -> None:
        """Lines of other writers than the kernel only tell of gaps."""
        if line.writer not in (Writer.KERNEL, Writer.UNKNOWN):
            self._lost = self._lost or isinstance(read_oom_line(line.text), MessagesLost)
            return
        this = (line.text, line.uptime_seconds, line.time)
        if this == self._previous:
            return
        self._previous = this
        self._moment = _moment(self._moment.line + 1, line)
        self._slab_lines = max(0, self._slab_lines - 1)
        caller, text = split_caller(line.text[:LONGEST_LINE])
        found = read_oom_line(text)
        if self._reports and (found is not None or not self._moment.is_within(LOOK_LINES, LOOK_SECONDS, self._looked)):
            self._close_old()
        self._read_text(line, caller, text, found)

    def finish(self) -> None:
        """The log ends here."""
        self._take_part()
        self._slab_lines = 0
        for report in self._reports:
            self._close(report)
        self._reports.clear()

    # Lines in parts

    def _read_text(self, line: LogLine, caller: str, text: str, found: OomLine | None) -> None:
        part = self._part
        if part is not None and part.caller == caller and found is None and self._joins(part, text):
            return
        if (found is None and text.startswith(_PATHS_FOLLOW)) or (isinstance(found, Summary) and not found.is_whole):
            self._take_part()
            self._part = _Part(line, caller, text, found)
            return
        if found is not None:
            self._take_part()
            self._take(line, caller, found)
        elif part is not None:
            part.more -= 1
            if part.more <= 0:
                self._take_part()

    def _joins(self, part: _Part, text: str) -> bool:
        for joint in ("", " "):
            found = read_oom_line(part.text + joint + text)
            if found is not None and (not isinstance(found, Summary) or found.is_whole):
                self._part = None
                self._take(part.line_with(part.text + joint + text), part.caller, found)
                return True
        if not text.startswith(_GOES_ON) or part.more <= 1:
            return False
        part.text += text
        part.more -= 1
        return True

    def _take_part(self) -> None:
        """What never came to its end tells what it can."""
        part, self._part = self._part, None
        if part is not None and part.found is not None:
            self._take(part.line, part.caller, part.found)

    # Which report a line belongs to

    def _take(self, line: LogLine, caller: str, found: OomLine) -> None:
        match found:
            case Killed():
                self._killed(line, caller, found)
            case GroupKill():
                self._group(line, caller, found)
            case Invoked():
                report = self._begin(caller)
                report.has_header, report.invoker = True, found.name
                self._touch(report, found, line)
            case LimitReached():
                self._limit(line, caller, found)
            case Summary():
                self._summary(line, caller, found)
            case Chosen():
                self._chosen(line, caller, found)
            case TableRow():
                self._row(caller, found)
            case NothingKillable() | AlreadyExiting():
                self._ending(line, caller, found)
            case Reaped():
                self._reaped += found.pid not in self._killed_pids
            case ReportsSuppressed():
                self._suppressed += found.count
            case MessagesLost():
                self._lost = True
            case PagesRefused():
                self._shortage = self._moment
            case SlabRefused():
                self._slab_lines, self._slab_refused = SLAB_LINES, line
            case SlabCache():
                self._cache(line, found)
            case _:
                self._detail(line, caller, found)

    def _detail(self, line: LogLine, caller: str, found: OomLine) -> None:
        """Lines that say more of a report that is there already."""
        match found:
            case InvokerCpuset():
                report = self._owner(caller, found, lambda one: one.invoker == found.name and not one.invoker_cpuset)
                if report:
                    report.invoker_cpuset = found.cpuset
            case Running():
                report = self._owner(
                    caller, found, lambda one: _is_named(found.named, one.invoker) and one.invoker_pid is None
                )
                if report:
                    report.invoker_pid = found.pid
            case Counter():
                report = self._counter(caller, found)
            case Stats():
                report = self._owner(caller, found, lambda one: True)
                if report:
                    report.has_stats = True
                    report.stats_path = report.oom_path or found.path
            case NodeMemory():
                report = self._owner(caller, found, lambda one: one.is_global is None)
                if report:
                    report.shows_node_memory = True
            case TableHead():
                report = self._owner(caller, found, lambda one: not one.columns and not one.has_lost_stats)
                if report:
                    report.columns = found.columns
            case _:
                return
        if report:
            self._touch(report, found, line if _is_proof(found, report) else None)

    def _counter(self, caller: str, found: Counter) -> OomReport | None:
        if found.name == "memory":
            report = self._owner(caller, found, lambda one: one.memory is None)
            if report:
                report.memory = found
            return report
        report = self._owner(caller, found, lambda one: one.memory is not None and not one.columns)
        if report and found.name == "kmem":
            report.kernel_memory_bytes = found.usage_bytes
        return report

    def _limit(self, line: LogLine, caller: str, found: LimitReached) -> None:
        def fits(one: OomReport) -> bool:
            return one.limit is None and one.memory is None and not one.is_decided

        report = (
            self._owner(caller, found, lambda one: fits(one) and one.is_invoked_in(found.task_path))
            or self._owner(caller, found, lambda one: fits(one) and one.has_header)
            or self._begin(caller)
        )
        report.limit = found
        self._touch(report, found, line)

    def _row(self, caller: str, found: TableRow) -> None:
        report = self._owner(caller, found, lambda one: True)
        self._has_tables = self._has_tables or report is not None
        task = read_row(found, report.columns) if report and report.columns else None
        if report and task:
            report.list_task(task)
            self._touch(report, found, None)

    def _summary(self, line: LogLine, caller: str, found: Summary) -> None:
        def fits(one: OomReport) -> bool:
            return one.fits_summary(found)

        early = self._killed_early(caller, found.pid, lambda one: one.summary is None)
        report = (
            self._owner(caller, found, lambda one: fits(one) and found.pid in one.listed)
            or (early if early and early.has_header else None)
            or self._next_to(caller, found, lambda one: fits(one) and self._may_list(one))
            or early
            or self._begin(caller)
        )
        report.summary = found
        self._touch(report, found, line)
        self._absorb(report, early)

    def _chosen(self, line: LogLine, caller: str, found: Chosen) -> None:
        pid = found.pid

        def fits(one: OomReport) -> bool:
            return one.chosen is None and one.is_global in (None, found.is_global)

        early = self._killed_early(caller, pid, lambda one: one.chosen is None)
        report = (
            self._owner(caller, found, lambda one: fits(one) and pid == one.decided_pid)
            or self._owner(caller, found, lambda one: fits(one) and pid in one.listed)
            or self._owner(caller, found, lambda one: fits(one) and pid == one.invoker_pid)
            or (early if early and early.has_header else None)
            or self._next_to(caller, found, lambda one: fits(one) and self._may_list(one))
            or early
            or self._begin(caller)
        )
        report.chosen = found
        self._touch(report, found, line)
        self._absorb(report, early)

    def _killed_early(self, caller: str, pid: int | None, lacks: Callable[[OomReport], bool]) -> OomReport | None:
        """A report whose kill line came before its decision."""
        early = [one for one in self._same_caller(caller) if lacks(one) and pid in one.victims]
        return early[-1] if early else None

    def _absorb(self, report: OomReport, early: OomReport | None) -> None:
        """Takes over a kill line that came before all of its report."""
        if early is None or early is report or early.has_header or early.is_decided:
            return
        report.victims, report.killed_at, report.stamp = early.victims, early.killed_at, early.stamp
        report.group_path, report.group_victims = early.group_path, early.group_victims
        report.lines = [*report.lines, *early.lines][:MOST_LINES]
        self._reports.remove(early)
        if self._last_killed is early:
            self._last_killed = report

    def _ending(self, line: LogLine, caller: str, found: NothingKillable | AlreadyExiting) -> None:
        if isinstance(found, NothingKillable):
            report = self._owner(caller, found, lambda one: not one.is_decided) or self._begin(caller)
            report.no_killable, report.stamp = True, line
            self._touch(report, found, line)
            return
        leaving = self._owner(caller, found, lambda one: one.decided_pid == found.pid)
        if leaving:
            leaving.is_exiting = True

    # Kills

    def _killed(self, line: LogLine, caller: str, found: Killed) -> None:
        task = found.task
        before = next((one for one in reversed(self._same_caller(caller)) if one.has_killed(task)), None)
        is_timed = line.uptime_seconds is not None or line.time is not None
        is_copy = not _remember(self._seen, (task, line.uptime_seconds, line.time)) and is_timed
        report = self._killer(caller, found)
        is_named = report is not None and report.names(task.pid)
        self._is_repeated = before is not None
        if before and before is not report and is_named and is_timed and not is_copy:
            del before.victims[task.pid]
        elif before or is_copy:
            self._killed_again((report if is_named else before) or self._begin(caller))
            return
        report = report or self._new_killer(caller, task.pid)
        report.add_victim(line, found, self._moment)
        self._touch(report, found, None)
        self._last_killed, self._kill_line = report, line
        _remember(self._killed_pids, task.pid)

    def _killed_again(self, report: OomReport) -> None:
        """A line that was read before: a group names its first victim twice, and a log may hold all of it twice."""
        if not report.victims:
            report.is_copy = True
        report.killed_at = self._moment
        self._last_killed = report

    def _killer(self, caller: str, found: Killed) -> OomReport | None:
        """The report that has yet to kill, by its decision or its table, or the group that is being killed."""
        pid = found.task.pid

        def fits(one: OomReport) -> bool:
            return found.is_global is None or one.is_global in (None, found.is_global)

        def expects(one: OomReport) -> bool:
            if one.is_decided:
                return fits(one) and one.may_kill(found.task.name)
            return fits(one) and one.last is LimitReached and one.is_excerpt

        return (
            self._owner(caller, found, lambda one: fits(one) and one.has_decided_on(pid))
            or self._owner(caller, found, lambda one: fits(one) and one.is_decided and pid in one.listed)
            or self._group_of(caller, found)
            or self._owner(caller, found, lambda one: fits(one) and pid in one.listed)
            or self._next_to(caller, found, expects)
        )

    def _new_killer(self, caller: str, pid: int) -> OomReport:
        """For a kill of no known report. One that seemed to have chosen the victim did not, if its table lacks it."""
        fresh = self._begin(caller)
        for report in self._same_caller(caller):
            if not report.is_done and report.chosen is not None and report.chosen.pid == pid:
                fresh.chosen, report.chosen, report.is_mixed = report.chosen, None, True
        return fresh

    def _group_of(self, caller: str, found: Killed) -> OomReport | None:
        """The group whose tasks are being killed, one right after the other."""
        report = self._last_killed
        if report is None or not report.group_path or not self._is_newest(caller, report):
            return None
        if found.is_global is not None and report.is_global not in (None, found.is_global):
            return None
        if not self._is_right_after(report):
            return None
        first = next(iter(report.victims.values()), None)
        is_alike = first is None or first.oom_score_adj == found.task.oom_score_adj
        return report if is_alike or found.task.pid in report.listed else None

    def _group(self, line: LogLine, caller: str, found: GroupKill) -> None:
        report = self._last_killed
        if report is None or not self._is_newest(caller, report) or not self._is_of_group(report, found.path):
            report = self._begin(caller)
        elif report.group_path:
            if self._is_repeated and report.group_path == found.path:
                return
            report = self._taken_back(caller, report)
        report.group_path = found.path
        report.group_victims = len(report.victims)
        self._last_killed = report
        self._touch(report, found, line)

    def _is_of_group(self, report: OomReport, path: str) -> bool:
        """The first victim's kill line stands right before the group's."""
        return self._is_right_after(report) and (
            bool(report.group_path) or not report.task_path or is_at_or_below(report.task_path, path)
        )

    def _is_right_after(self, report: OomReport) -> bool:
        """Whether its last kill was just before this line."""
        before = report.killed_at or report.touched
        seconds = GROUP_SECONDS if self._moment.is_exact and before.is_exact else SAME_SECOND
        return self._moment.is_within(LINGER_LINES, seconds, before)

    def _is_newest(self, caller: str, report: OomReport) -> bool:
        """Whether no other report had a line since; False for one that is closed."""
        same = self._same_caller(caller)
        return report in same and max(same, key=lambda one: one.touched.line) is report

    def _taken_back(self, caller: str, report: OomReport) -> OomReport:
        """Its newest victim was the first one of another group: a group is only named after its first victim."""
        fresh = self._begin(caller)
        newest = next(reversed(report.victims), None)
        if len(report.victims) > report.group_victims and newest not in report.listed:
            pid, task = report.victims.popitem()
            fresh.victims[pid] = task
            fresh.killed_globally, fresh.killed_at = report.killed_globally, report.killed_at
            fresh.stamp = self._kill_line
            fresh.lines = [shortened(self._kill_line)] if self._kill_line else []
        return fresh

    # Memory that the kernel wanted for itself

    def _cache(self, line: LogLine, found: SlabCache) -> None:
        head, self._slab_refused = self._slab_refused, None
        if head is None or not self._slab_lines:
            return
        self._slab_lines = 0
        if self._shortage is None or not self._moment.is_within(SHORTAGE_LINES, SHORTAGE_SECONDS, self._shortage):
            self._allocations.add(found.cgroup, (head, line))
        for report in self._reports:
            if found.cgroup in (*report.oom_path.split("/"), *report.task_path.split("/")):
                report.keep_line(line)

    # Reports

    def _same_caller(self, caller: str) -> list[OomReport]:
        return [report for report in self._reports if report.caller == caller]

    def _owner(self, caller: str, found: OomLine, fits: Callable[[OomReport], bool]) -> OomReport | None:
        """The one report under way that a line fits. Of several the one that it directly follows, else the newest if
        the others have been silent since that began."""
        fitting = [report for report in self._awaiting(caller, found) if fits(report)]
        if len(fitting) <= 1 or caller:
            return fitting[-1] if fitting else None
        direct = [report for report in fitting if report.last in _FOLLOWS.get(type(found), ())]
        if len(direct) == 1:
            return direct[0]
        newest = max(fitting, key=lambda report: report.touched.line)
        if all(report is newest or _was_cut_before(report, newest) for report in fitting):
            return newest
        for report in fitting:
            report.is_mixed = True
        return None

    def _awaiting(self, caller: str, found: OomLine) -> list[OomReport]:
        """The reports that may have such a line yet. Where all are past it, or about another cgroup, they have lost
        their end, and this one its beginning."""
        stage = _STAGES.get(type(found), len(_ORDER))
        open_ones = [report for report in self._same_caller(caller) if not report.is_done]
        awaiting = [report for report in open_ones if report.stage <= stage]
        if isinstance(found, Stats):
            awaiting = [report for report in awaiting if report.fits_path(found.path)]
        if not awaiting and isinstance(found, _OF_OOM_ONLY):
            for report in open_ones:
                self._reports.remove(report)
                self._close(report)
        return awaiting

    def _next_to(self, caller: str, found: OomLine, fits: Callable[[OomReport], bool]) -> OomReport | None:
        """The report whose last line stands right before this one."""
        report = self._owner(caller, found, fits)
        if report is None or not self._is_newest(caller, report):
            return None
        return report if self._moment.is_within(ADJACENT_LINES, ADJACENT_SECONDS, report.touched) else None

    def _may_list(self, report: OomReport) -> bool:
        """Whether a task may be chosen that is not in the report's table, as a thread is not: the kill line will tell.
        Some logs have no tables (vm.oom_dump_tasks), and of some only those lines were kept that name limits and kills;
        elsewhere a report without a table has lost it, and maybe more."""
        if report.listed:
            return True
        return not self._has_tables and (report.is_excerpt or report.last in (Stats, NodeMemory))

    def _begin(self, caller: str) -> OomReport:
        report = OomReport(caller, self._moment, self._moment)
        self._looked = self._moment
        self._reports.append(report)
        if len(self._reports) > MOST_REPORTS:
            self._close(self._reports.pop(0))
        return report

    def _touch(self, report: OomReport, found: OomLine, proof: LogLine | None) -> None:
        report.touched = self._moment
        report.last = type(found)
        report.stage = max(report.stage, _STAGES.get(type(found), 0))
        if proof is not None:
            report.keep_line(proof)

    def _close_old(self) -> None:
        self._looked = self._moment
        kept = [report for report in self._reports if self._is_alive(report)]
        if len(kept) < len(self._reports):
            old = [report for report in self._reports if report not in kept]
            self._reports = kept
            for report in old:
                self._close(report)

    def _is_alive(self, report: OomReport) -> bool:
        if report.is_done:
            return self._moment.is_within(LINGER_LINES, LINGER_SECONDS, report.touched)
        if self._moment.line - report.started.line > LONGEST_REPORT_LINES:
            return False
        return self._moment.is_within(OPEN_LINES, OPEN_SECONDS, report.touched)

    def _close(self, report: OomReport) -> None:
        if report.is_copy:
            return
        self._page_size = report.page_size() or self._page_size
        if not report.is_done:
            self._cut_off += 1
        if report.has_told_something() and not (report.is_exiting and not report.victims):
            self._kept.add(report.kill(self._node, self._page_size))


class _Part:
    """The beginning of a line of which the rest follows as a line of its own: long ones are split (LOG_LINE_MAX), and
    what is put together by pr_cont may be torn apart."""

    __slots__ = ("caller", "found", "line", "more", "text")

    def __init__(self, line: LogLine, caller: str, text: str, found: OomLine | None) -> None:
        self.line = line
        self.caller = caller
        self.text = text
        self.found = found
        self.more = MOST_PARTS

    def line_with(self, text: str) -> LogLine:
        return replace(self.line, text=text)


_PATHS_FOLLOW = ("Task in", "oom-kill:", "Memory limit reached of cgroup")
_GOES_ON = ("/", " killed as", "killed as", " as a result", "as a result", ",")


def _moment(number: int, line: LogLine) -> Moment:
    if line.uptime_seconds is not None:
        return Moment(number, line.uptime_seconds, True)
    if line.time is None:
        return Moment(number, None)
    return Moment(number, line.time.timestamp(), line.time.microsecond != 0)


def _was_cut_before(report: OomReport, newest: OomReport) -> bool:
    """Whether it had fallen silent when the newest one began."""
    last, start = report.touched, newest.started
    if last.seconds is not None and start.seconds is not None and abs(start.seconds - last.seconds) <= SILENT_SECONDS:
        return False
    return last.line < start.line


def _is_named(text: str, name: str) -> bool:
    return bool(name) and (text == name or text.startswith(f"{name} "))


def _is_proof(found: OomLine, report: OomReport) -> bool:
    """Of the lines that only say more: what was in use, and the cgroup where nothing else names it."""
    match found:
        case Counter():
            return found.name == "memory" or (found.name == "kmem" and found.usage_bytes > 0)
        case Stats():
            return report.limit is None and report.stats_path == found.path
        case _:
            return False


def _remember(memory: OrderedDict[Entry, None], entry: Entry) -> bool:
    """Whether it is new."""
    is_new = entry not in memory
    memory[entry] = None
    if len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
    return is_new
