"""How a command reads nodes by debug pods: it says what would be made, asks, has it done, and says what is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from msgspec import Struct, field

from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.pod_log import PodLogs
from kubectl_memdoctor.cluster.source import AccessError, Source, Unreadable
from kubectl_memdoctor.cluster.writing import ApiWriter
from kubectl_memdoctor.debugging.images import DEFAULT, image_of
from kubectl_memdoctor.debugging.leftovers import left_debug_pods
from kubectl_memdoctor.debugging.manifests import LIFE_SECONDS, DebugPod, new_debug_pod
from kubectl_memdoctor.debugging.reading import read_run
from kubectl_memdoctor.debugging.session import Ending, Session
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, merged
from kubectl_memdoctor.flags import DEBUG_POD, IMAGE, PROGRAM, CommandLine
from kubectl_memdoctor.objects import ObjectMeta
from kubectl_memdoctor.screen import Screen
from kubectl_memdoctor.temporary import clock
from kubectl_memdoctor.temporary.consent import agreed, print_lines
from kubectl_memdoctor.temporary.places import PLACES, Place
from kubectl_memdoctor.temporary.process import this_process
from kubectl_memdoctor.temporary.progress import Progress
from kubectl_memdoctor.temporary.removal import Leftover, Remains

MOST_NODES = 10
"""At once."""
REQUEST_SECONDS = 30.0
"""For a request where --request-timeout does not say it: a server that hangs must not hold up the removal."""


class DebugReading(Struct, frozen=True):
    """`reasons` say what could not be read, or not be removed."""

    evidence: NodeEvidence = field(default_factory=NodeEvidence)
    reasons: tuple[str, ...] = ()


def read_by_debug_pods(
    line: CommandLine, screen: Screen, connection: Connection, namespace: str, nodes: Iterable[str]
) -> DebugReading:
    """By one pod on each of the nodes, made in `namespace`. What keeps it from being read is a reason, not an error.

    In the main thread only, which hears of signals: raises Interrupted, when all is removed and said.
    `temporary.consent.demand_consent` comes first, before anything is asked of the cluster.
    """
    seconds = connection.request_timeout or REQUEST_SECONDS
    connection = replace(connection, request_timeout=seconds, purpose=DEBUG_POD.name)
    source = ApiServer(connection)
    choice = choose(source, namespace, sorted(set(nodes)), line.text(IMAGE))
    if not choice.pods:
        return DebugReading(reasons=choice.refusals)
    left = _left(source, namespace)
    print_lines(plan(choice.pods, left, connection.server), screen.err)
    if not agreed(line, screen):
        screen.say("No pod was made.")
        return DebugReading(reasons=(*choice.refusals, "not agreed to"))
    session = Session(source, ApiWriter(connection), PodLogs(connection), clock.Clock(), Progress(screen))
    ending = session.run(choice.pods, left)
    _say_ending(screen, ending, choice.pods)
    if ending.interrupted is not None:
        raise ending.interrupted
    return _read(source, ending, choice.refusals)


class Choice(Struct, frozen=True):
    """`refusals`: the nodes on which no pod can run, and why."""

    pods: tuple[DebugPod, ...]
    refusals: tuple[str, ...]


def choose(source: Source, namespace: str, nodes: Sequence[str], image: str) -> Choice:
    """An empty `image` means one that the node has."""
    pods: list[DebugPod] = []
    refusals = [f"node {name}: no more than {MOST_NODES} nodes at once" for name in nodes[MOST_NODES:]]
    for name in nodes[:MOST_NODES]:
        place = _place(source, name)
        if isinstance(place, str):
            refusals.append(f"node {name}: {place}")
            continue
        chosen = image or image_of(place) or DEFAULT
        is_there = chosen in place.image_names()
        pods.append(new_debug_pod(namespace, place, chosen, is_there=is_there, process=this_process()))
    return Choice(tuple(pods), tuple(refusals))


def _place(source: Source, name: str) -> Place | str:
    """The node; or why no pod can run there."""
    try:
        place = source.get(PLACES, None, name)
    except Unreadable:
        # Where nodes may not be read, the name is enough.
        return Place(metadata=ObjectMeta(name=name))
    except AccessError as error:
        return str(error)
    return "it runs Windows" if place.is_windows else place.not_ready() or place


def _left(source: Source, namespace: str) -> list[Leftover]:
    """What earlier runs have left, and nobody uses any more; nothing where this user may not look."""
    try:
        return [left for left in left_debug_pods(source, namespace) if left.is_abandoned(source.now())]
    except AccessError:
        return []


def plan(pods: Sequence[DebugPod], left: Iterable[Leftover], server: str) -> Iterator[str]:
    """Everything that will be written, before anything is."""
    yield f"This makes, in the cluster {server}, for a moment:"
    for pod in pods:
        there = "which the node has" if pod.is_there else "which the node may have to pull"
        yield f"  {pod}, on node {pod.node}"
        yield f"    privileged, with the node's network and files (read only); image {pod.image}, {there}"
    yield "As root on the node it prints the kernel's log and the runtime's list of sandboxes, and does nothing else."
    yield f"It is removed at the end, also when this is interrupted; the node ends it after {LIFE_SECONDS}s anyway."
    for entry in left:
        yield f"Removed first, left by an earlier run: {entry.names()}"


def _say_ending(screen: Screen, ending: Ending, pods: Sequence[DebugPod]) -> None:
    if ending.remains:
        screen.say(remaining(ending.remains, pods))
    if ending.interrupted is not None:
        screen.say(f"interrupted: nothing was read{'' if ending.remains else ', all that was made is removed'}")


def remaining(remains: Remains, pods: Sequence[DebugPod]) -> str:
    """What is left, and the command that removes it."""
    command = f"kubectl -n {pods[0].namespace} delete pod {' '.join(pod.name for pod in pods)}"
    if remains.is_going:
        return f"error: not gone yet: {remains.names} is deleted ({remains.reason}); {command} waits until it is gone"
    return (
        f"error: not removed: {remains.names} ({remains.reason}); {command} removes it, as does the next"
        f" --{DEBUG_POD.name} there, or {PROGRAM} calibrate --clean; the node ends it after {LIFE_SECONDS}s"
    )


def _read(source: Source, ending: Ending, refusals: Sequence[str]) -> DebugReading:
    readings = [(run.pod.node, read_run(run, source.now())) for run in ending.runs]
    reasons = [f"node {node}: {reason}" for node, reading in readings for reason in reading.reasons]
    reasons += [f"not removed: {ending.remains.names}"] if ending.remains else []
    return DebugReading(merged(reading.evidence for _, reading in readings), (*refusals, *reasons))
