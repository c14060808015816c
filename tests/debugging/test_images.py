"""The image is one with a shell that the node has, and only ever from a publisher whom everybody trusts."""

from __future__ import annotations

import pytest

from kubectl_memdoctor.debugging.images import image_of
from kubectl_memdoctor.temporary.places import ContainerImage, ImageHolder, Place

DIGEST = "sha256:9ae97d36d26566ff84e8893c64a6dc4fe8ca6d1144bf5b87b2b85a32def253c7"


def chosen(*names: str) -> str | None:
    return image_of(Place(status=ImageHolder(images=tuple(ContainerImage((name,)) for name in names))))


@pytest.mark.parametrize(
    "name",
    [
        "docker.io/library/busybox:1.37",
        f"docker.io/library/busybox@{DIGEST}",
        "busybox:1.37.0",
        "docker.io/rancher/mirrored-library-busybox:1.36.1",
        "registry.k8s.io/e2e-test-images/busybox:1.29-4",
        "public.ecr.aws/docker/library/alpine:3.20",
        "docker.io/library/debian:bookworm-slim",
        "ubuntu:24.04",
    ],
)
def test_images_that_fit(name: str) -> None:
    assert chosen("registry.k8s.io/pause:3.10", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "docker.io/somebody/busybox:1.37",
        "busybox.example/library/busybox:1",
        "registry.example:5000/busybox:1",
        "docker.io/library/busybox-extras:1",
        "evil.example/docker.io/library/busybox:1",
        "docker.io/library:busybox",
        "registry.k8s.io/pause:3.10",
        "<none>@<none>",
        "",
    ],
)
def test_images_that_do_not(name: str) -> None:
    """Who may run a pod can bring an image of nearly any name onto a node, and this one would be root there."""
    assert chosen(name) is None


def test_the_smallest_by_its_tag() -> None:
    names = ("docker.io/library/alpine:3", f"docker.io/library/busybox@{DIGEST}", "docker.io/library/busybox:1.37")
    assert chosen(*names) == "docker.io/library/busybox:1.37"
