"""A node as one looks at it before something is put there."""

from __future__ import annotations

from kubectl_memdoctor.objects import ApiObject, Node, NodeStatus, Resource


class ContainerImage(ApiObject, frozen=True, gc=False):
    names: tuple[str, ...] = ()


class ImageHolder(NodeStatus, frozen=True, gc=False):
    images: tuple[ContainerImage, ...] = ()


class Taint(ApiObject, frozen=True, gc=False):
    effect: str = ""


class NodeSpec(ApiObject, frozen=True, gc=False):
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class Place(Node, frozen=True, gc=False):
    """A Node with what only commands that put something on it want to know."""

    spec: NodeSpec = NodeSpec()
    status: ImageHolder = ImageHolder()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def is_windows(self) -> bool:
        return self.status.node_info.operating_system == "windows"

    def image_names(self) -> list[str]:
        """Of the images that it lists: its largest 50.
        https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (nodeStatusMaxImages)
        """
        return [name for image in self.status.images for name in image.names]

    def not_ready(self) -> str:
        """Why nothing can be started there, in the node's own words; empty when it can."""
        ready = next((entry for entry in self.status.conditions if entry.type == "Ready"), None)
        if ready is not None and ready.status == "True":
            return ""
        why = f": {ready.reason}: {ready.message}" if ready and ready.message else ""
        return f'node "{self.name}" is not ready{why}'


PLACES = Resource("nodes", "Node", "v1", False, Place)
