"""The pods whose container is never to start."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kubectl_memdoctor.calibration.manifests import Run, pod
from kubectl_memdoctor.calibration.nodes import Image

from .pretended_cluster import target

RUN = Run("bcdfg", "shop", False, "x-1")
LIMIT = 3 << 20


@pytest.mark.parametrize(
    ("image", "missing"),
    [
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:memdoctor-no-such-tag-bcdfg"),
        ("pause", "pause:memdoctor-no-such-tag-bcdfg"),
        ("localhost:5000/pause", "localhost:5000/pause:memdoctor-no-such-tag-bcdfg"),
        ("localhost:5000/a/pause:1@sha256:0af7", "localhost:5000/a/pause:memdoctor-no-such-tag-bcdfg"),
        ("rancher/mirrored-pause@sha256:0af7", "rancher/mirrored-pause:memdoctor-no-such-tag-bcdfg"),
    ],
)
def test_only_the_image_differs(image: str, missing: str) -> None:
    """It is of the same repository, and not pulled, even where the one that is named may be."""
    named = replace(target("worker-1"), image=Image(image, is_there=False))
    usual, alone = (pod(RUN, named, LIMIT, 1, "", sandbox_only=sandbox_only) for sandbox_only in (False, True))
    (container,) = alone["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (missing, "Never")
    (expected,) = usual["spec"]["containers"]
    container |= {"image": expected["image"], "imagePullPolicy": expected["imagePullPolicy"]}
    assert alone == usual
