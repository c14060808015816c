"""FailedMount messages from the field: which volume, and whether it is a tmpfs without room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.error_layers import READ_FIRST
from kubectl_memdoctor.evidence.mount_errors import MountFailure, read_mount_error

from .field_texts import NAMES

UID = NAMES["uid"]
PODS = f"/var/lib/kubelet/pods/{UID}"
VOLUMES = f"{PODS}/volumes/kubernetes.io~"
AGAIN = "(combined from similar events): "
SETUP = "MountVolume.SetUp failed for volume"

FULL = (
    (
        "vllm-project/aibrix#694",
        (
            f'{AGAIN}{SETUP} "kube-api-access-wfmh2" : write {VOLUMES}projected/kube-api-access-wfmh2/'
            "..2025_02_18_00_11_37.99831085/namespace: no space left on device"
        ),
        MountFailure("kube-api-access-wfmh2", "namespace", "projected"),
    ),
    (
        "bitnami/charts#31347",
        (
            f'{AGAIN}{SETUP} "kube-api-access-4xwxg" : write {VOLUMES}projected/kube-api-access-4xwxg/'
            "..2025_01_14_07_19_56.263343095/ca.crt: no space left on device"
        ),
        MountFailure("kube-api-access-4xwxg", "ca.crt", "projected"),
    ),
    (
        "canonical/microk8s#4888",
        (
            f'{AGAIN}{SETUP} "kube-api-access-w8g5f" : write /var/snap/microk8s/common{VOLUMES}projected/'
            "kube-api-access-w8g5f/..2025_02_18_04_24_58.3702524494/namespace: no space left on device"
        ),
        MountFailure("kube-api-access-w8g5f", "namespace", "projected"),
    ),
    (
        "cluster of Kubernetes 1.34.2, a limit of 300m",
        (
            f'{SETUP} "kube-api-access-6bqnz" : write {VOLUMES}projected/kube-api-access-6bqnz/'
            "..2026_11_23_10_00_00.1234567890/token: no space left on device"
        ),
        MountFailure("kube-api-access-6bqnz", "token", "projected"),
    ),
    (
        "strimzi/strimzi-kafka-operator#6398",
        (
            f'{SETUP} "zookeeper-nodes" : write {VOLUMES}secret/zookeeper-nodes/..2022_02_19_08_50_38.3787359075/'
            "echo-zookeeper-0.crt: no space left on device"
        ),
        MountFailure("zookeeper-nodes", "echo-zookeeper-0.crt", "secret"),
    ),
    (
        "composed: the directory of a payload in a volume of no page",
        f'{SETUP} "podinfo" : mkdir {VOLUMES}downward-api/podinfo/..2026_11_23_10_00_00.1: no space left on device',
        MountFailure("podinfo", "..2026_11_23_10_00_00.1", "downward-api"),
    ),
    (
        "kubernetes/kubernetes#79950, shortened as people do",
        f'{SETUP} "kube-api-access-xxxxx" : write .../token: no space left on device',
        MountFailure("kube-api-access-xxxxx", "token", None),
    ),
)

NOT_FULL = (
    (
        "composed: a config map lies on the node's disk",
        f'{SETUP} "config" : write {VOLUMES}configmap/config/..2026_11_23/app.yaml: no space left on device',
        MountFailure("config", "app.yaml", "configmap"),
    ),
    (
        "composed: the disk that the tmpfs is mounted on is full",
        f'{SETUP} "kube-api-access-6bqnz" : mkdir {VOLUMES}projected/kube-api-access-6bqnz: no space left on device',
        MountFailure("kube-api-access-6bqnz", None, "projected"),
    ),
    (
        "composed: so is this one",
        f'{SETUP} "kube-api-access-6bqnz" : mkdir {PODS}/volumes: no space left on device',
        MountFailure("kube-api-access-6bqnz", None, None),
    ),
    (
        "kubernetes/kubernetes#39508 (the mount table was full)",
        (
            f'{SETUP} "kubernetes.io/secret/{UID}-default-token-i9xv0" (spec.Name: "default-token-i9xv0") pod '
            f'"x" (UID: "{UID}") with: mount failed: exit status 32\nMounting arguments: tmpfs '
            f"{VOLUMES}secret/default-token-i9xv0 tmpfs []\nOutput: mount: No space left on device"
        ),
        MountFailure("default-token-i9xv0", None, "secret"),
    ),
    (
        "kubernetes/kubernetes#95778",
        (
            f'{SETUP} "cluster-config" (UniqueName: "kubernetes.io/configmap/{UID}-cluster-config") pod '
            f'"x" (UID: "{UID}") : stat {VOLUMES}configmap/cluster-config: no such file or directory'
        ),
        MountFailure("cluster-config", None, "configmap"),
    ),
    (
        "ceph/ceph-csi#1109",
        f'{SETUP} "installer-info" : failed to sync configmap cache: timed out waiting for the condition',
        MountFailure("installer-info", None, None),
    ),
    (
        "ceph/ceph-csi#1109, a later event",
        (
            "Unable to attach or mount volumes: unmounted volumes=[artifactory-volume], unattached volumes="
            "[binarystore-xml artifactory-license installer-info]: timed out waiting for the condition"
        ),
        MountFailure("artifactory-volume", None, None),
    ),
    (
        "kubernetes/kubernetes#29297 (1.3)",
        (
            f'Unable to mount volumes for pod "core-kp9k6_default({UID})": timeout expired waiting '
            'for volumes to attach/mount for pod "core-kp9k6"/"default". '
            "list of unattached/unmounted volumes=[core-config-files]"
        ),
        MountFailure("core-config-files", None, None),
    ),
    (
        "tmforum-oda/oda-canvas#24",
        f'{SETUP} "secret-volume" : secret "compcrdwebhook-secret" not found',
        MountFailure("secret-volume", None, None),
    ),
    (
        "hetznercloud/csi-driver#141",
        f'Multi-Attach error for volume "pvc-{UID}" Volume is already exclusively attached to one node',
        MountFailure(f"pvc-{UID}", None, None),
    ),
    (
        "openshift/origin#17638 (3.7)",
        f'{SETUP} "deployer-token-kbtwg" : exit status 1',
        MountFailure("deployer-token-kbtwg", None, None),
    ),
    (
        "composed: a volume named after what it does not lack",
        f'{SETUP} "no-space-left-on-device" : secret "enospc" not found',
        MountFailure("no-space-left-on-device", None, None),
    ),
    ("no message", "", MountFailure(None, None, None)),
)


@pytest.mark.parametrize(
    ("message", "expected", "is_tmpfs_full"),
    [
        pytest.param(message, expected, full, id=source)
        for rows, full in ((FULL, True), (NOT_FULL, False))
        for source, message, expected in rows
    ],
)
def test_reads_messages_from_the_field(message: str, expected: MountFailure, is_tmpfs_full: bool) -> None:
    failure = read_mount_error(message)
    assert failure == expected
    assert failure.is_tmpfs_full is is_tmpfs_full


@given(st.text())
def test_reads_anything(message: str) -> None:
    assert not read_mount_error(message).is_tmpfs_full or "no space" in message.lower() or "ENOSPC" in message.upper()


@pytest.mark.parametrize("unit", ["/a", '"', "for volume ", "kubernetes.io~", "unmounted volumes=[", "a"])
def test_of_a_megabyte_only_both_ends_are_read(unit: str) -> None:
    ends = unit * (READ_FIRST // len(unit) + 1)
    one, other = (read_mount_error(ends + middle * 100_000 + ends) for middle in (unit, "no space left on device: "))
    assert one == other
