"""Where to measure: the nodes that are named, or one of each pool; and with which image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from kubectl_memdoctor import quantity
from kubectl_memdoctor.measured_minimum import Pool, pool_of
from kubectl_memdoctor.objects import ApiObject, ObjectMeta, Resource
from kubectl_memdoctor.temporary.places import Place


class Overhead(ApiObject, frozen=True, gc=False):
    pod_fixed: dict[str, str] = field(default_factory=dict)


class Scheduling(ApiObject, frozen=True, gc=False):
    node_selector: dict[str, str] = field(default_factory=dict)


class Runtime(ApiObject, frozen=True, gc=False):
    """A RuntimeClass with what it does to its pods."""

    metadata: ObjectMeta = ObjectMeta()
    handler: str = ""
    overhead: Overhead = Overhead()
    scheduling: Scheduling = Scheduling()

    @property
    def overhead_bytes(self) -> int:
        try:
            return quantity.value(self.overhead.pod_fixed.get("memory", "0"))
        except quantity.QuantityError:
            return 0


RUNTIMES = Resource("runtimeclasses", "RuntimeClass", "node.k8s.io/v1", False, Runtime)


class Image(Struct, frozen=True):
    """`is_there`: the node says that it has it under this name, so it need not be pulled."""

    name: str
    is_there: bool


class Target(Struct, frozen=True):
    """One node to measure. `nodes` are all of its pool, itself included, in the order of their names."""

    place: Place
    pool: Pool
    image: Image
    runtime: Runtime
    nodes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.place.name


class Choice(Struct, frozen=True):
    """`refusals` are whole lines for stderr: what cannot be measured, and why."""

    targets: tuple[Target, ...]
    refusals: tuple[str, ...]


def choose(places: Sequence[Place], names: Sequence[str], runtime: Runtime, image: str) -> Choice:
    """The nodes called `names`; without any, one node of each pool. An empty `image` means the cluster's own."""
    chosen = _Chosen(places, runtime, image)
    found = [*chosen.named(names)] if names else [*chosen.one_of_each_pool()]
    targets = tuple(entry for entry in found if isinstance(entry, Target))
    refusals = tuple(entry for entry in found if isinstance(entry, str))
    if not found:
        refusals = (f"error: no node{_of_runtime(runtime)} to measure on",)
    return Choice(targets, tuple(dict.fromkeys(refusals)))


class _Chosen(Struct, frozen=True):
    places: Sequence[Place]
    runtime: Runtime
    image: str

    def named(self, names: Iterable[str]) -> Iterator[Target | str]:
        by_name = {place.name: place for place in self.places}
        for name in dict.fromkeys(name.removeprefix("node/").removeprefix("nodes/") for name in names):
            if name not in by_name:
                yield f'Error from server (NotFound): nodes "{name}" not found'
                continue
            yield self._target(by_name[name])

    def one_of_each_pool(self) -> Iterator[Target | str]:
        """The best node of a pool is one that other pods may go to as well."""
        for places in self._pools().values():
            able = [place for place in places if not _obstacle(place)]
            if able:
                yield self._target(min(able, key=_reluctance))
            elif all(place.is_windows for place in places):
                continue
            else:
                yield f"error: {_obstacle(places[0])}{_others(len(places) - 1)}"

    def _pools(self) -> Mapping[Pool | str, list[Place]]:
        pools: dict[Pool | str, list[Place]] = {}
        for place in sorted(self.places, key=lambda entry: entry.name):
            if not _unmatched(place, self.runtime):
                pools.setdefault(pool_of(place, self.runtime.handler) or place.name, []).append(place)
        return pools

    def _target(self, place: Place) -> Target | str:
        obstacle = _obstacle(place) or _unmatched(place, self.runtime)
        if obstacle:
            return f"error: {obstacle}"
        image = Image(self.image, is_there=False) if self.image else self._own_image(place)
        if image is None:
            return f'error: node "{place.name}" lists no pause image: name one that it has, or can pull, with --image'
        pool = pool_of(place, self.runtime.handler)
        assert pool is not None
        same = sorted(other.name for other in self.places if pool_of(other, self.runtime.handler) == pool)
        return Target(place, pool, image, self.runtime, tuple(same))

    def _own_image(self, place: Place) -> Image | None:
        """A pause image is small, and may be missing from what a node lists: then what other nodes list."""
        others = (other for other in self.places if other.status.node_info.architecture == _architecture(place))
        return next(filter(None, map(_pause_image, (place, *others))), None)


def _architecture(place: Place) -> str:
    return place.status.node_info.architecture


def _pause_image(place: Place) -> Image | None:
    """The newest that has a tag, by a name without a digest where there is one."""
    names = filter(_PAUSE.search, place.image_names())
    best = max(names, key=lambda name: ("@" not in name, _version(name)), default=None)
    return None if best is None else Image(best, is_there=True)


_PAUSE = re.compile(r"(?:^|/)(?:[a-z0-9._]+-)*pause(?:-(?:amd64|arm64|arm|ppc64le|s390x|riscv64))?(?:[:@]|$)")
"""registry.k8s.io/pause:3.10, rancher/mirrored-pause:3.6, k8s.gcr.io/pause-amd64:3.1"""


def _version(name: str) -> tuple[int, ...]:
    tag = name.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return tuple(int(number) for number in re.findall(r"\d{1,9}", tag))


def _reluctance(place: Place) -> tuple[bool, str]:
    """Tolerations would get a pod onto any node; one that others keep away from is taken last."""
    return any(taint.effect in ("NoSchedule", "NoExecute") for taint in place.spec.taints), place.name


def _obstacle(place: Place) -> str:
    """Why nothing can be measured there; empty when it can."""
    if place.is_windows:
        return f'node "{place.name}" runs Windows: it has no cgroups, so a sandbox needs no minimum'
    if place.not_ready():
        return place.not_ready()
    if place.metadata.deletion_timestamp is not None:
        return f'node "{place.name}" is being deleted'
    if pool_of(place, "") is None:
        return (
            f'node "{place.name}" does not say its runtime, kernel, architecture or CPUs (status.nodeInfo, .capacity)'
        )
    return ""


def _unmatched(place: Place, runtime: Runtime) -> str:
    missing = [
        f"{key}={value}"
        for key, value in runtime.scheduling.node_selector.items()
        if place.metadata.labels.get(key) != value
    ]
    if not missing:
        return ""
    labels = ", ".join(missing)
    return f'RuntimeClass "{runtime.metadata.name}" is not for node "{place.name}", which lacks the label {labels}'


def _of_runtime(runtime: Runtime) -> str:
    return f' that RuntimeClass "{runtime.metadata.name}" is for' if runtime.metadata.name else ""


def _others(number: int) -> str:
    if number == 0:
        return ""
    return f" (nor can {number} other{'s' if number > 1 else ''} of its kind be measured)"
