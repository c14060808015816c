"""Which nodes are measured, and with which image."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_memdoctor.calibration.nodes import Choice, Image, Overhead, Runtime, Scheduling, choose
from kubectl_memdoctor.objects import Condition, NodeSystemInfo, ObjectMeta, decode
from kubectl_memdoctor.temporary.places import ContainerImage, ImageHolder, NodeSpec, Place, Taint

PAUSE = "registry.k8s.io/pause:3.10"


def place(
    name: str,
    *,
    runtime: str = "containerd://2.2.0",
    cpus: str = "8",
    images: tuple[str, ...] = (PAUSE,),
    ready: str = "True",
    system: str = "linux",
    spec: NodeSpec = NodeSpec(),  # noqa: B008
    **labels: str,
) -> Place:
    info = NodeSystemInfo(
        container_runtime_version=runtime, kernel_version="6.1.0", operating_system=system, architecture="amd64"
    )
    condition = Condition(type="Ready", status=ready, reason="KubeletNotReady", message="the kubelet is away")
    status = ImageHolder(
        node_info=info,
        capacity={"cpu": cpus} if cpus else {},
        conditions=(condition,),
        images=tuple(ContainerImage((image,)) for image in images),
    )
    return Place(metadata=ObjectMeta(name=name, labels=labels), spec=spec, status=status)


def chosen(*places: Place, names: tuple[str, ...] = (), runtime: Runtime = Runtime(), image: str = "") -> Choice:  # noqa: B008
    return choose(places, names, runtime, image)


def names_of(choice: Choice) -> list[str]:
    return [target.name for target in choice.targets]


def test_one_node_of_each_kind() -> None:
    choice = chosen(
        place("b"), place("a"), place("old", runtime="containerd://1.7.24"), place("large", cpus="64"), place("c")
    )
    assert names_of(choice) == ["a", "large", "old"]
    assert choice.targets[0].nodes == ("a", "b", "c")
    assert choice.refusals == ()


def test_a_kind_is_measured_on_a_node_that_pods_may_go_to() -> None:
    tainted = NodeSpec(taints=(Taint("NoSchedule"),))
    assert names_of(chosen(place("a", spec=tainted), place("b"))) == ["b"]
    assert names_of(chosen(place("a", spec=tainted))) == ["a"]
    assert names_of(chosen(place("a", ready="False"), place("b"))) == ["b"]


def test_a_kind_of_which_no_node_is_ready_is_named() -> None:
    choice = chosen(place("a", ready="Unknown"), place("b", ready="False"), place("big", cpus="64"))
    assert names_of(choice) == ["big"]
    assert choice.refusals == (
        'error: node "a" is not ready: KubeletNotReady: the kubelet is away (nor can 1 other of its kind be measured)',
    )


def test_nodes_by_name() -> None:
    choice = chosen(place("a"), place("b"), names=("node/b", "a", "b"))
    assert names_of(choice) == ["b", "a"]


@pytest.mark.parametrize(
    ("node", "name", "line"),
    [
        (place("a"), "x", 'Error from server (NotFound): nodes "x" not found'),
        (place("a", ready="False"), "a", 'error: node "a" is not ready: KubeletNotReady: the kubelet is away'),
        (place("a", system="windows"), "a", 'error: node "a" runs Windows: it has no cgroups, so a sandbox needs no'),
        (place("a", images=("app:1",)), "a", 'error: node "a" lists no pause image: name one that it has'),
        (place("a", cpus=""), "a", 'error: node "a" does not say its runtime, kernel, architecture or CPUs'),
    ],
)
def test_a_node_that_cannot_be_measured(node: Place, name: str, line: str) -> None:
    choice = chosen(node, names=(name,))
    assert choice.targets == ()
    (refusal,) = choice.refusals
    assert refusal.startswith(line)


def test_windows_nodes_are_passed_over() -> None:
    choice = chosen(place("w", system="windows"), place("a"))
    assert (names_of(choice), choice.refusals) == (["a"], ())


def test_a_cluster_without_a_node_to_measure() -> None:
    assert chosen().refusals == ("error: no node to measure on",)
    assert chosen(place("w", system="windows")).refusals == ("error: no node to measure on",)


def test_a_runtime_class_has_its_own_nodes() -> None:
    kata = Runtime(
        metadata=ObjectMeta(name="kata"),
        handler="kata-qemu",
        overhead=Overhead({"memory": "160Mi"}),
        scheduling=Scheduling({"kata": "true"}),
    )
    choice = chosen(place("a"), place("b", kata="true"), runtime=kata)
    assert names_of(choice) == ["b"]
    assert choice.targets[0].pool.handler == "kata-qemu"
    assert kata.overhead_bytes == 160 << 20
    assert chosen(place("a"), names=("a",), runtime=kata).refusals == (
        'error: RuntimeClass "kata" is not for node "a", which lacks the label kata=true',
    )
    assert chosen(place("a"), runtime=kata).refusals == (
        'error: no node that RuntimeClass "kata" is for to measure on',
    )


@pytest.mark.parametrize(
    ("images", "name"),
    [
        (("app:1", "registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.10"), "registry.k8s.io/pause:3.10"),
        (("rancher/mirrored-pause:3.6",), "rancher/mirrored-pause:3.6"),
        (("k8s.gcr.io/pause-amd64:3.1",), "k8s.gcr.io/pause-amd64:3.1"),
        (("602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/pause:3.5",),) * 1
        + ("602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/pause:3.5",),
        (("registry:5000/pause@sha256:" + "a" * 64,), "registry:5000/pause@sha256:" + "a" * 64),
        (("registry.k8s.io/pause@sha256:" + "a" * 64, "registry.k8s.io/pause:3.9"), "registry.k8s.io/pause:3.9"),
    ],
)
def test_the_pause_image_that_the_node_has(images: tuple[str, ...], name: str) -> None:
    (target,) = chosen(place("a", images=images)).targets
    assert target.image == Image(name, is_there=True)


@pytest.mark.parametrize("image", ["docker.io/acme/pauseless:1", "acme/unpause:2", "acme/pause/app:1", "acme/pauser:1"])
def test_other_images_are_not_taken_for_it(image: str) -> None:
    assert chosen(place("a", images=(image,))).targets == ()


def test_a_full_list_of_images_may_miss_it() -> None:
    (first, _) = chosen(place("a", images=("large:1",)), place("b", cpus="4")).targets
    assert (first.name, first.image) == ("a", Image(PAUSE, is_there=True))


def test_an_image_that_is_named_may_be_pulled() -> None:
    (target,) = chosen(place("a", images=()), image="acme/pause:1").targets
    assert target.image == Image("acme/pause:1", is_there=False)


def test_a_node_as_the_server_sends_it() -> None:
    body: Any = (
        b'{"metadata": {"name": "a"}, "spec": {"unschedulable": true, "taints": [{"effect": "NoSchedule"}]},'
        b' "status": {"images": [{"names": ["registry.k8s.io/pause:3.10"], "sizeBytes": 1}, {"names": null}],'
        b' "capacity": {"cpu": "2"}, "nodeInfo": {"operatingSystem": "linux", "architecture": "arm64"}}}'
    )
    found = decode(body, Place)
    assert found.spec.unschedulable
    assert found.status.images[0].names == (PAUSE,)
    assert found.status.node_info.architecture == "arm64"
