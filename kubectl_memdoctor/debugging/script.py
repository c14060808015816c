"""What the pod runs, and how what it prints is told apart again.

For the POSIX shell of busybox as for any other, and for programs of the node that are twelve years old or not there.
Labels and annotations of other people's pods are left out of it: who may read this pod's log need not know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

HOST = "/host"
"""Where the node's own root is."""
MOST_LINES = 200_000
"""Of the kernel's log, the newest: some 20 MB."""
MISSED_MESSAGES = "e9bf28e6e834481bb6f48f548ad13606"
"""journald's own note that it lost messages of the kernel (SD_MESSAGE_JOURNAL_MISSED):
https://github.com/systemd/systemd/blob/v257/src/systemd/sd-messages.h"""
PATH = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ":/opt/bin:/home/kubernetes/bin:/var/lib/rancher/rke2/bin:/run/current-system/sw/bin"
)
"""Of the image and of the node: Flatcar, Google's Container-Optimized OS, RKE2 and NixOS have places of their own."""
CRICTL, DOCKER = "crictl", "docker"

SCRIPT = f"""\
errors=/tmp/errors
(: >"$errors") 2>/dev/null || errors=/dev/null

mark() {{
  printf '\\n%s %s\\n' "$MARK" "$*"
}}

say_errors() {{
  mark errors "$1"
  tail -n 3 "$errors"
  : >"$errors"
}}

on_node() {{
  chroot {HOST} "$@" 2>>"$errors"
}}

journal() {{
  on_node journalctl --boot --quiet --no-pager --output="$1" --lines="$2" "$3"
}}

kernel() {{
  for form in short-iso-precise short-iso; do
    if [ -n "$(journal "$form" 1 --dmesg)" ]; then
      mark kernel journalctl
      journal "$form" {MOST_LINES} --dmesg
      mark missed
      journal "$form" 1 MESSAGE_ID={MISSED_MESSAGES}
      return
    fi
  done
  mark kernel dmesg
  on_node dmesg || dmesg 2>>"$errors"
}}

without_labels() {{
  sed -e '/^ *"labels": {{$/,/^ *}},*$/d' -e '/^ *"annotations": {{$/,/^ *}},*$/d'
}}

sandboxes() {{
  for program in "$@"; do
    case "$program" in
      {DOCKER}) listed=$(on_node docker ps --all --no-trunc --filter name=k8s_POD) || continue ;;
      *) listed=$(on_node crictl pods --output=json) || continue ;;
    esac
    mark sandboxes "$program"
    printf '%s\\n' "$listed" | without_labels
    return
  done
}}

mark clock
read -r uptime rest </proc/uptime
echo "$uptime $(date +%s)"
kernel
say_errors kernel
sandboxes "$@"
say_errors sandboxes
mark end
"""


def command(runtime_version: str) -> list[str]:
    """`runtime_version` as the node has it: `docker://19.3.5`."""
    programs = (DOCKER, CRICTL) if runtime_version.startswith("docker:") else (CRICTL, DOCKER)
    return ["sh", "-c", SCRIPT, "sh", *programs]


def mark_of(serial: str) -> str:
    """Begins each line between two sections. It is new each time, so no log holds it."""
    return f"memdoctor-{serial}"


class Section(Struct, frozen=True):
    """Bytes `start` to `end` of what was printed. `source` is the program that the section comes from, if it says."""

    kind: str
    source: str
    start: int
    end: int


def sections(lines: Iterable[bytes], serial: str) -> Iterator[Section]:
    """`lines` with their ends. A section without an end (the log broke off) goes up to what there is."""
    mark = f"{mark_of(serial)} ".encode()
    position, kind, source, start = 0, "", "", 0
    for line in lines:
        if line.startswith(mark):
            if kind:
                # Less the line break that was printed before the mark.
                yield Section(kind, source, start, max(start, position - 1))
            kind, _, source = line[len(mark) :].decode(errors="replace").strip().partition(" ")
            start = position + len(line)
        position += len(line)
    if kind:
        yield Section(kind, source, start, position)
