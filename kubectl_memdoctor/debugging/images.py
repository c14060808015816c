"""Which image the pod runs: one with a shell that the node has already, from a publisher who is trusted by everybody.

The pod is root on the node. So a name that merely looks right is not enough: whoever may run pods can bring an image of
any other name onto a node.
"""

from __future__ import annotations

from kubectl_memdoctor.temporary.places import Place

WITH_SHELL = ("busybox", "alpine", "debian", "ubuntu")
"""With chroot and dmesg as well. The smallest first."""
PUBLISHERS = (
    "",
    "library/",
    "docker.io/library/",
    "index.docker.io/library/",
    "mirror.gcr.io/library/",
    "public.ecr.aws/docker/library/",
    "docker.io/rancher/mirrored-library-",
    "rancher/mirrored-library-",
    "registry.k8s.io/e2e-test-images/",
)
"""Docker's official images, as nodes and registries name them; and copies that k3s and Kubernetes' own tests bring."""
DEFAULT = "docker.io/library/busybox:stable"
"""Where the node lists none."""


def image_of(place: Place) -> str | None:
    """One that the node lists; None when it lists none that fits."""
    found = [(WITH_SHELL.index(kind), "@" in name, name) for name in place.image_names() if (kind := _kind(name))]
    return min(found)[2] if found else None


def _kind(name: str) -> str:
    """Which of WITH_SHELL it is; empty for any other image."""
    repository = _repository(name)
    return next((kind for kind in WITH_SHELL if repository in {f"{prefix}{kind}" for prefix in PUBLISHERS}), "")


def _repository(name: str) -> str:
    """`docker.io/library/busybox:1.37@sha256:...` -> `docker.io/library/busybox`; a registry may have a port."""
    untagged = name.partition("@")[0]
    folder, slash, last = untagged.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"
