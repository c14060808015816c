"""Kubernetes objects, typed: only the fields that a rule, a remedy or a printer reads.

Decoding is strict and fast (`decode_list`); an object that does not fit its type (null lists, numbers where text is
usual, a missing status) is mended field by field (`mend`): one odd object loses nothing and costs the others nothing.
Times are aware datetimes. Quantities stay text as written; `quantity` turns them into bytes.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from threading import Lock
from typing import Annotated, Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, field

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339; the API server writes no time without its zone, a recording might."""


Quantities = Annotated[dict[str, str], msgspec.Meta(description="Resource name to quantity.")]
"""Quantities as written. Protobuf has each as a message of its own."""


class ApiObject(Struct, frozen=True, gc=False, rename="camel"):
    """Base of all structs: camelCase on the wire, unknown fields skipped, immutable."""


class OwnerReference(ApiObject, frozen=True, gc=False):
    kind: str = ""
    name: str = ""
    api_version: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(ApiObject, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    generation: int = 0

    def controller(self) -> OwnerReference | None:
        """The owner that manages this object; at most one reference has controller set."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class ResourceRequirements(ApiObject, frozen=True, gc=False):
    limits: Quantities = {}
    requests: Quantities = {}


class Container(ApiObject, frozen=True, gc=False):
    name: str = ""
    image: str = ""
    resources: ResourceRequirements = ResourceRequirements()
    restart_policy: str = ""


class EmptyDir(ApiObject, frozen=True, gc=False):
    medium: str = ""


class VolumeMarker(ApiObject, frozen=True, gc=False):
    """A volume source of which only the presence matters; what it names is never read."""


class Volume(ApiObject, frozen=True, gc=False):
    name: str = ""
    empty_dir: EmptyDir | None = None
    secret: VolumeMarker | None = None
    projected: VolumeMarker | None = None
    downward_api: VolumeMarker | None = field(default=None, name="downwardAPI")

    def is_tmpfs(self) -> bool:
        """Secret, projected and downward API volumes wrap an emptyDir of medium Memory.
        https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/projected/projected.go (wrappedVolumeSpec)
        """
        if self.empty_dir is not None:
            return self.empty_dir.medium == "Memory"
        return self.secret is not None or self.projected is not None or self.downward_api is not None


class PodOS(ApiObject, frozen=True, gc=False):
    name: str = ""


class PodSpec(ApiObject, frozen=True, gc=False):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    overhead: Quantities = {}
    node_name: str = ""
    node_selector: dict[str, str] = {}
    os: PodOS = PodOS()
    runtime_class_name: str = ""
    volumes: tuple[Volume, ...] = ()
    termination_grace_period_seconds: int | None = None


class StateWaiting(ApiObject, frozen=True, gc=False):
    reason: str = ""
    message: str = ""


class StateRunning(ApiObject, frozen=True, gc=False):
    started_at: Time | None = None


class StateTerminated(ApiObject, frozen=True, gc=False):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    container_id: str = field(default="", name="containerID")


class ContainerState(ApiObject, frozen=True, gc=False):
    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(ApiObject, frozen=True, gc=False):
    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    container_id: str = field(default="", name="containerID")
    resources: ResourceRequirements | None = None
    allocated_resources: Quantities = {}


class Condition(ApiObject, frozen=True, gc=False):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: Time | None = None


class PodStatus(ApiObject, frozen=True, gc=False):
    phase: str = ""
    reason: str = ""
    message: str = ""
    qos_class: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    start_time: Time | None = None
    resize: str = ""
    resources: ResourceRequirements | None = None

    def condition(self, *names: str) -> Condition | None:
        """The first condition whose type is one of `names`."""
        return next((condition for condition in self.conditions if condition.type in names), None)


class Pod(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ObjectReference(ApiObject, frozen=True, gc=False):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class EventSource(ApiObject, frozen=True, gc=False):
    component: str = ""
    host: str = ""


class EventSeries(ApiObject, frozen=True, gc=False):
    count: int = 0
    last_observed_time: Time | None = None


class Event(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int = 0
    first_timestamp: Time | None = None
    last_timestamp: Time | None = None
    event_time: Time | None = None
    series: EventSeries | None = None
    source: EventSource = EventSource()
    reporting_component: str = ""

    def first_seen(self) -> datetime | None:
        return self.first_timestamp or self.event_time or self.metadata.creation_timestamp

    def last_seen(self) -> datetime | None:
        """kubectl's order: a series' last observation, else the last timestamp, else the first."""
        observed = self.series.last_observed_time if self.series else None
        return observed or self.last_timestamp or self.first_seen()

    def times(self) -> int:
        """How often it happened: at least once, however the recorder wrote it."""
        return max(self.series.count if self.series else 0, self.count, 1)


class NodeSystemInfo(ApiObject, frozen=True, gc=False):
    container_runtime_version: str = ""
    kernel_version: str = ""
    kubelet_version: str = ""
    operating_system: str = ""
    architecture: str = ""


class NodeStatus(ApiObject, frozen=True, gc=False):
    node_info: NodeSystemInfo = NodeSystemInfo()
    allocatable: Quantities = {}
    capacity: Quantities = {}
    conditions: tuple[Condition, ...] = ()


class Node(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    status: NodeStatus = NodeStatus()


class LimitRangeItem(ApiObject, frozen=True, gc=False):
    type: str = ""
    default: Quantities = {}
    default_request: Quantities = {}


class LimitRangeSpec(ApiObject, frozen=True, gc=False):
    limits: tuple[LimitRangeItem, ...] = ()


class LimitRange(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: LimitRangeSpec = LimitRangeSpec()


class RuntimeClass(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    handler: str = ""


class Namespace(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()


class ConfigMap(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, str] = {}


class ContainerMetrics(ApiObject, frozen=True, gc=False):
    name: str = ""
    usage: Quantities = {}


class PodMetrics(ApiObject, frozen=True, gc=False):
    """What a pod's containers used about `timestamp`; memory is the working set."""

    metadata: ObjectMeta = ObjectMeta()
    timestamp: Time | None = None
    containers: tuple[ContainerMetrics, ...] = ()


class LabelSelectorRequirement(ApiObject, frozen=True, gc=False):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(ApiObject, frozen=True, gc=False):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class PodTemplate(ApiObject, frozen=True, gc=False):
    spec: PodSpec = PodSpec()


class WorkloadSpec(ApiObject, frozen=True, gc=False):
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()


class Workload(ApiObject, frozen=True, gc=False):
    """Anything that holds a pod template under spec.template: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job."""

    metadata: ObjectMeta = ObjectMeta()
    spec: WorkloadSpec = WorkloadSpec()


class ReplicationControllerSpec(ApiObject, frozen=True, gc=False):
    selector: dict[str, str] = {}
    template: PodTemplate = PodTemplate()


class ReplicationController(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicationControllerSpec = ReplicationControllerSpec()


class CronJob(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()


class RevisionData(ApiObject, frozen=True, gc=False):
    spec: WorkloadSpec = WorkloadSpec()


class ControllerRevision(ApiObject, frozen=True, gc=False):
    """One past template of a StatefulSet or DaemonSet; `data` holds the part of the owner that is versioned."""

    metadata: ObjectMeta = ObjectMeta()
    revision: int = 0
    data: RevisionData = RevisionData()


Object = TypeVar("Object", bound=ApiObject)


class Resource(Struct, Generic[Object], frozen=True):
    """What can be asked of a cluster: the API's plural name, where it lies, and the type that it decodes to."""

    name: str
    kind: str
    api_version: str
    namespaced: bool
    type: type[Object]
    short_names: tuple[str, ...] = ()
    aggregated: bool = False
    """Served by a server of its own behind the API server, which may be down while that is well."""

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The URL path of the collection, or of one object; namespace None means all namespaces."""
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{scope}/{self.name}" + (f"/{name}" if name else "")

    @property
    def group_resource(self) -> str:
        """As the API server names it in messages: `pods`, `deployments.apps`."""
        group = self.api_version.rpartition("/")[0]
        return f"{self.name}.{group}" if group else self.name


PODS = Resource("pods", "Pod", "v1", True, Pod, ("pod", "po"))
EVENTS = Resource("events", "Event", "v1", True, Event)
NODES = Resource("nodes", "Node", "v1", False, Node)
NODE_PROXY = Resource("nodes/proxy", "Node", "v1", False, Node)
"""What a node's kubelet answers through the API server: counters, use, logs. Never decoded as an object."""
LIMIT_RANGES = Resource("limitranges", "LimitRange", "v1", True, LimitRange)
RUNTIME_CLASSES = Resource("runtimeclasses", "RuntimeClass", "node.k8s.io/v1", False, RuntimeClass)
NAMESPACES = Resource("namespaces", "Namespace", "v1", False, Namespace)
CONFIG_MAPS = Resource("configmaps", "ConfigMap", "v1", True, ConfigMap)
REPLICA_SETS = Resource("replicasets", "ReplicaSet", "apps/v1", True, Workload, ("replicaset", "rs"))
DEPLOYMENTS = Resource("deployments", "Deployment", "apps/v1", True, Workload, ("deployment", "deploy"))
STATEFUL_SETS = Resource("statefulsets", "StatefulSet", "apps/v1", True, Workload, ("statefulset", "sts"))
DAEMON_SETS = Resource("daemonsets", "DaemonSet", "apps/v1", True, Workload, ("daemonset", "ds"))
JOBS = Resource("jobs", "Job", "batch/v1", True, Workload, ("job",))
CRON_JOBS = Resource("cronjobs", "CronJob", "batch/v1", True, CronJob, ("cronjob", "cj"))
CONTROLLER_REVISIONS = Resource("controllerrevisions", "ControllerRevision", "apps/v1", True, ControllerRevision)
REPLICATION_CONTROLLERS = Resource(
    "replicationcontrollers",
    "ReplicationController",
    "v1",
    True,
    ReplicationController,
    ("replicationcontroller", "rc"),
)
POD_METRICS = Resource("pods", "PodMetrics", "metrics.k8s.io/v1beta1", True, PodMetrics, aggregated=True)
POD_METRICS_V1 = Resource("pods", "PodMetrics", "metrics.k8s.io/v1", True, PodMetrics, aggregated=True)
"""The same objects: Kubernetes 1.37 has them as v1, metrics-servers still serve v1beta1."""
RESOURCES: tuple[Resource[Any], ...] = (
    PODS,
    EVENTS,
    NODES,
    LIMIT_RANGES,
    RUNTIME_CLASSES,
    NAMESPACES,
    CONFIG_MAPS,
    REPLICA_SETS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    CONTROLLER_REVISIONS,
    REPLICATION_CONTROLLERS,
    POD_METRICS,
)


class ListMeta(ApiObject, frozen=True, gc=False):
    """`metadata.continue` and `remainingItemCount` of one page."""

    continue_: str = field(default="", name="continue")
    remaining_item_count: int | None = None


class StatusDetails(ApiObject, frozen=True, gc=False):
    name: str = ""


class Status(ApiObject, frozen=True, gc=False):
    """What the API server answers instead of an object; `metadata` offers where to go on after an expired token."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    metadata: ListMeta = ListMeta()
    details: StatusDetails | None = None


class RawList(ApiObject, frozen=True, gc=False):
    """One page with its items still undecoded."""

    kind: str = ""
    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] | None = ()


BUILDING = Lock()
"""One decoder is built at a time; decoding to a type for the first time builds one as well. msgspec shows what it knows
of a struct to other threads before it knows all of it: a decoder that another thread builds with that crashes the
program when it decodes."""


@cache
def _list_decoder(item: type[ApiObject]) -> msgspec.json.Decoder[Any]:
    page = msgspec.defstruct(
        f"{item.__name__}List",
        [
            ("metadata", ListMeta, ListMeta()),
            ("items", tuple[item, ...] | None, ()),  # type: ignore[valid-type]
        ],
        frozen=True,
        gc=False,
        rename="camel",
    )
    with BUILDING:
        return msgspec.json.Decoder(page)


_RAW_LIST_DECODER = msgspec.json.Decoder(RawList)


def decode_list(body: bytes | bytearray | memoryview, item: type[Object]) -> tuple[ListMeta, tuple[Object, ...]]:
    """One JSON List body -> its metadata and items.

    Raises msgspec.DecodeError when the body is not JSON or not a list.
    """
    try:
        page = _list_decoder(item).decode(body)
        return page.metadata, page.items or ()
    except msgspec.ValidationError:
        raw = _RAW_LIST_DECODER.decode(body)
        return raw.metadata, tuple(decode(entry, item) for entry in raw.items or ())


@cache
def _decoder(type_: type[ApiObject]) -> msgspec.json.Decoder[Any]:
    with BUILDING:
        return msgspec.json.Decoder(type_)


def decode(body: bytes | bytearray | memoryview | msgspec.Raw, type_: type[Object]) -> Object:
    """One JSON object -> its struct, mended where it does not fit.

    Raises msgspec.DecodeError when the body is not JSON.
    """
    try:
        return cast(Object, _decoder(type_).decode(body))
    except msgspec.ValidationError:
        return cast(Object, mend(msgspec.json.decode(body), type_))


@cache
def _field_types(struct: type[Struct]) -> tuple[tuple[str, str, Any], ...]:
    hints = get_type_hints(struct)
    return tuple((entry.name, entry.encode_name, hints[entry.name]) for entry in msgspec.structs.fields(struct))


class _Absent:
    pass


_ABSENT = _Absent()


def mend(value: object, type_: Any) -> Any:
    """Whatever of `value` fits `type_`; the rest falls back to the field's default."""
    mended = _mend(value, type_)
    if mended is _ABSENT:
        return type_()
    return mended


def _mend(value: object, type_: Any) -> Any:
    if isinstance(type_, type) and issubclass(type_, Struct):
        return _mend_struct(value, type_)
    origin = get_origin(type_)
    if origin in (Union, types.UnionType):
        return _mend_optional(value, type_)
    if origin is tuple:
        return _mend_tuple(value, get_args(type_)[0])
    if origin is dict:
        return _mend_dict(value)
    mender = _SCALARS.get(type_)
    return mender(value) if mender else _ABSENT


def _mend_struct(value: object, type_: type[Struct]) -> Any:
    if not isinstance(value, dict):
        return _ABSENT
    fields: dict[str, Any] = {}
    for name, encoded, field_type in _field_types(type_):
        if encoded not in value:
            continue
        mended = _mend(value[encoded], field_type)
        if mended is not _ABSENT:
            fields[name] = mended
    return type_(**fields)


def _mend_optional(value: object, type_: Any) -> Any:
    if value is None:
        return None
    inner = next(arg for arg in get_args(type_) if arg is not type(None))
    mended = _mend(value, inner)
    return None if mended is _ABSENT else mended


def _mend_tuple(value: object, item: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _ABSENT
    mended = (_mend(entry, item) for entry in value)
    return tuple(entry for entry in mended if entry is not _ABSENT)


def _mend_dict(value: object) -> Any:
    if not isinstance(value, dict):
        return _ABSENT
    texts = ((str(key), _text(entry)) for key, entry in value.items())
    return {key: text for key, text in texts if isinstance(text, str)}


def _text(value: object) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return _ABSENT


def _whole_number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _ABSENT
    try:
        return int(value)
    except (ValueError, OverflowError):
        return _ABSENT


def _boolean(value: object) -> Any:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower(), _ABSENT)


def _time(value: object) -> Any:
    try:
        time = msgspec.convert(value, datetime, strict=False)
    except msgspec.ValidationError:
        return _ABSENT
    return time if time.tzinfo else time.replace(tzinfo=UTC)


_SCALARS: dict[Any, Callable[[object], Any]] = {
    str: _text,
    int: _whole_number,
    bool: _boolean,
    datetime: _time,
}
