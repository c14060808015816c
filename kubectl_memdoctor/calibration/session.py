"""A run from its first object to its last: whatever ends it, what it made is removed, or named."""

from __future__ import annotations

from msgspec import Struct

from kubectl_memdoctor.calibration.removal import all_of, remove_run
from kubectl_memdoctor.calibration.run import Calibration
from kubectl_memdoctor.cluster.source import AccessError, Source
from kubectl_memdoctor.cluster.writing import ApiWriter
from kubectl_memdoctor.exit_code import Interrupted
from kubectl_memdoctor.temporary.clock import Clock
from kubectl_memdoctor.temporary.progress import Progress
from kubectl_memdoctor.temporary.removal import INTERRUPTED, Leftover, Remains, remove_leftover
from kubectl_memdoctor.temporary.signals import Signals


class Ending(Struct, frozen=True):
    """`error` is what the cluster did not let go on, `interrupted` the signal's exit code, `remains` what is left."""

    error: AccessError | None = None
    interrupted: int | None = None
    remains: Remains | None = None


class Session:
    def __init__(self, source: Source, writer: ApiWriter, clock: Clock, progress: Progress) -> None:
        self._source = source
        self._writer = writer
        self._clock = clock
        self._progress = progress

    def measure(self, calibration: Calibration, abandoned: list[Leftover]) -> Ending:
        """First removes what is `abandoned`. Only an error of this program's own is raised, after the removal."""
        error: Interrupted | AccessError | None = None
        remains: Remains | None = None
        with Signals(self._progress.say) as signals:
            try:
                error = self._measure(calibration, abandoned, signals)
            finally:
                if calibration.has_made:
                    remains = self._remove(calibration)
                self._progress.close()
        if isinstance(error, Interrupted):
            return Ending(interrupted=error.exit_code, remains=remains)
        return Ending(error=error, remains=remains)

    def _measure(
        self, calibration: Calibration, abandoned: list[Leftover], signals: Signals
    ) -> Interrupted | AccessError | None:
        try:
            try:
                for leftover in abandoned:
                    remove_leftover(leftover, self._writer)
                calibration.make_place()
                self._progress.say(f"{calibration.run.place} made")
                calibration.measure()
            finally:
                # A signal from here on waits for the removal. One that comes just before is an ending like others.
                signals.defer()
        except (Interrupted, AccessError) as error:
            return error
        return None

    def _remove(self, calibration: Calibration) -> Remains | None:
        self._progress("removing what was made")
        try:
            return remove_run(calibration.run, self._source, self._writer, self._clock)
        except Interrupted:
            return Remains(all_of(calibration.run), INTERRUPTED)
