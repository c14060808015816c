"""containerd and a kubelet on a node, wherever that runs, and what a test does to them."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from .configuration import IMAGES, LOGS, Node, containerd_command, ctr, kubelet_command
from .images import images
from .place import Place

START_SECONDS = 180.0
"""Far more than it takes, also on an emulated node: the machine may be busy."""
LOG_LINES = 15
Log = Literal["kubelet", "containerd", "kernel"]


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a node's logs went: bytes of the first two, the kernel's own clock in seconds."""

    kubelet: int
    containerd: int
    kernel: float


class RunningNode:
    """Its programs must be in place."""

    def __init__(self, node: Node, place: Place) -> None:
        self.node = node
        self.place = place
        self._kubelet = 0

    def configure(self, settings: Mapping[str, bytes]) -> None:
        for path, content in settings.items():
            self.place.put(path, content)

    def start(self) -> None:
        """Returns when containerd answers and has the images, and the kubelet has been started."""
        with self.logs_in_errors():
            self.place.start(containerd_command(), _file("containerd"))
            self._wait_for(shlex.join(ctr("version")))
            for reference in images():
                self.bring_image(reference)
            self.start_kubelet()

    @contextlib.contextmanager
    def logs_in_errors(self) -> Iterator[None]:
        """An exception that leaves the block says how the node's logs end, which are gone when it is read."""
        try:
            yield
        except Exception as error:
            for log in ("containerd", "kubelet"):
                with contextlib.suppress(Exception):
                    lines = self.place.get(_file(log)).decode(errors="replace").splitlines()
                    error.add_note("\n".join([f"{_file(log)} of {self.node.name} ends:", *lines[-LOG_LINES:]]))
            raise

    def start_kubelet(self) -> None:
        self._kubelet = self.place.start(kubelet_command(self.node), _file("kubelet"))

    def stop_kubelet(self) -> None:
        """Its pods run on, as when it is restarted on a node."""
        self.place.run(["sh", "-c", f"kill {self._kubelet}"])
        self._wait_for(f"! kill -0 {self._kubelet}")

    def bring_image(self, reference: str) -> None:
        self.import_image(f"{IMAGES}/{images()[reference].name}", reference)

    def import_image(self, archive: str, reference: str) -> None:
        """`archive`: its path on the node."""
        self.place.run(ctr("images", "import", archive), START_SECONDS)
        # The CRI part of containerd hears of it a moment later.
        self._wait_for(f"{shlex.join(ctr('images', 'list'))} | grep '^{reference} .*io.cri-containerd.image=managed'")

    @contextlib.contextmanager
    def without_image(self, reference: str) -> Iterator[None]:
        """The image is not on the node, and nowhere to be had, until the block is left."""
        self.place.run(ctr("images", "remove", "--sync", reference))
        try:
            yield
        finally:
            self.bring_image(reference)

    def moment(self) -> Moment:
        return Moment(
            kubelet=len(self.place.get(_file("kubelet"))),
            containerd=len(self.place.get(_file("containerd"))),
            kernel=max(map(_seconds, self._kernel_lines()), default=0.0),
        )

    def log(self, name: Log, since: Moment) -> str:
        """The lines that were written after that moment; the kernel's are those of its whole machine."""
        if name == "kernel":
            return "".join(f"{line}\n" for line in self._kernel_lines() if _seconds(line) > since.kernel)
        return self.place.get(_file(name))[getattr(since, name) :].decode(errors="replace")

    def _kernel_lines(self) -> list[str]:
        return self.place.run(["dmesg"]).splitlines()

    def _wait_for(self, script: str) -> None:
        self.place.run(["sh", "-c", f"until {script}; do sleep 0.1; done"], START_SECONDS)


def _file(log: str) -> str:
    return f"{LOGS}/{log}.log"


def _seconds(line: str) -> float:
    found = re.match(r"\[\s*(\d+\.\d+)\]", line)
    return float(found[1]) if found else 0.0
