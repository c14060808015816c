"""Cgroup paths of every kubelet driver, runtime and nesting; and what only looks like one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level, read_cgroup_name, read_cgroup_path

UID = "0f6c1c3e-7a1d-4c0e-9b57-2d6a8e4f1b90"
ESCAPED = UID.replace("-", "_")
HASH = "5d1f0c9be6a24783a1b0c2d3e4f50617"
CID = "9c" * 32
OTHER_UID = "11111111-2222-4333-8444-555555555555"

POD = f"/kubepods/burstable/pod{UID}"
SLICE = f"kubepods-burstable-pod{ESCAPED}.slice"
SLICES = f"/kubepods.slice/kubepods-burstable.slice/{SLICE}"
KIND = (
    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"
    f"/kubelet-kubepods-besteffort-pod{ESCAPED}.slice"
)


@pytest.mark.parametrize(
    ("path", "engine"),
    [
        (f"{POD}/{CID}", ""),
        (f"{POD}/crio-{CID}", "cri-o"),
        (f"{POD}/crio-conmon-{CID}", "cri-o"),
        (f"{SLICES}/cri-containerd-{CID}.scope", "containerd"),
        (f"{SLICES}/crio-{CID}.scope", "cri-o"),
        (f"{SLICES}/crio-conmon-{CID}.scope", "cri-o"),
        (f"{SLICES}/docker-{CID}.scope", "docker"),
        (f"{SLICES}/crio-{CID}.scope/container", "cri-o"),
        (f"{SLICES}/cri-containerd-{CID}.scope/system.slice/app.service", "containerd"),
        (f"{SLICES}/cri-containerd/{CID}", "containerd"),
        (f"/system.slice/containerd.service/{SLICE}:cri-containerd:{CID}", "containerd"),
        (f"/{SLICE}:cri-containerd:{CID}", "containerd"),
        (f"/system.slice/crio.service/{SLICE}:crio:{CID}", "cri-o"),
        (f"/docker/{'ab' * 32}{POD}/{CID}", ""),
        (f"/docker/{'ab' * 32}/kubelet{POD}/{CID}", ""),
        (f"/lxc.payload.node-1{SLICES}/docker-{CID}.scope", "docker"),
        (f"/../..{SLICES}/docker-{CID}.scope", "docker"),
        (f"/../../{SLICE}/docker-{CID}.scope", "docker"),
        (f"/sys/fs/cgroup{SLICES}/crio-{CID}.scope", "cri-o"),
        (f"{POD}/{CID}/kubepods/burstable/pod{OTHER_UID}/{'cd' * 32}", ""),
    ],
)
def test_containers(path: str, engine: str) -> None:
    assert read_cgroup_path(path) == CgroupPath(path, Level.CONTAINER, UID, CID, engine, "Burstable")


@pytest.mark.parametrize(
    ("path", "uid", "qos_class"),
    [
        (POD, UID, "Burstable"),
        (f"/kubepods/pod{UID}", UID, "Guaranteed"),
        (f"/kubepods/besteffort/pod{HASH}", HASH, "BestEffort"),
        (f"/kubepods/kubepods/burstable/pod{UID}", UID, "Burstable"),
        (SLICES, UID, "Burstable"),
        (f"/kubepods.slice/kubepods-pod{HASH}.slice", HASH, "Guaranteed"),
        (KIND, UID, "BestEffort"),
        (f"/docker/{'ab' * 32}{KIND}", UID, "BestEffort"),
        (f"/my_root.slice/my_root-kubepods.slice/my_root-kubepods-pod{ESCAPED}.slice", UID, "Guaranteed"),
    ],
)
def test_pods(path: str, uid: str, qos_class: str) -> None:
    assert read_cgroup_path(path) == CgroupPath(path, Level.POD, uid, qos_class=qos_class)


@pytest.mark.parametrize(
    ("path", "level", "qos_class"),
    [
        ("/", Level.NODE, ""),
        ("", Level.NODE, ""),
        ("/kubepods", Level.ALLOCATABLE, ""),
        ("/kubepods.slice", Level.ALLOCATABLE, ""),
        ("/kubelet.slice/kubelet-kubepods.slice", Level.ALLOCATABLE, ""),
        (f"/docker/{CID}/kubepods", Level.ALLOCATABLE, ""),
        ("/kubepods/burstable", Level.QOS, "Burstable"),
        ("/kubepods.slice/kubepods-besteffort.slice", Level.QOS, "BestEffort"),
        ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice", Level.QOS, "Burstable"),
    ],
)
def test_above_pods(path: str, level: Level, qos_class: str) -> None:
    assert read_cgroup_path(path) == CgroupPath(path, level, qos_class=qos_class)


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{CID}",
        f"/system.slice/docker-{CID}.scope",
        f"/machine.slice/libpod-{CID}.scope",
        f"/machine.slice/podman-{ESCAPED}.slice",
        f"/podman-pod{UID}/{CID}",
        f"/machine.slice/podman-kubepods-pod{ESCAPED}.slice/{CID}",
        f"/pod{UID}/{CID}",
        f"/burstable/pod{UID}",
        f"/kubepods/burstable/pod{UID}x",
        f"/kubepods/burstable/pod{UID[:-1]}",
        f"/kubepods/burstable/pod{UID[:11]}>",
        f"/kubepods/burstable/pod{UID[:11]}...",
        f"/kubepods/burstable/{UID}",
        f"/kubepods/burstable/pod{ESCAPED}",
        f"/kubepods/burstable/xpod{UID}",
        f"/kubepods/critical/pod{UID}",
        f"/kubepods/{CID}",
        f"/kubepods/pod{CID}",
        f"/notkubepods/pod{UID}",
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID}.slice",
        f"/kubepods.slice/kubepods-besteffort.slice/{SLICE}",
        f"/user.slice/{SLICE}",
        f"/kubepods.slice/kubepods-burstable.slice/{SLICE.removesuffix('.slice')}.service",
        f"/system.slice/{SLICE}:cri-containerd:{CID[:-1]}",
        f"/var/lib/kubelet/pods/{UID}/volumes",
        f"/var/lib/kubepods/pod{UID}",
        f"/kubepods/burstable/../pod{UID}",
        f"kubepods/burstable/pod{UID}",
        f"/kubepods/burstable/pod{UID}\n",
        f"/{'x' * 300}{POD}",
        "/..",
        "/system.slice/kubelet.service",
        "kubepods",
    ],
)
def test_lookalikes(path: str) -> None:
    assert read_cgroup_path(path) == CgroupPath(path, Level.OTHER)


NAMES = {
    f"pod{UID}": (Level.POD, UID, ""),
    f"pod{HASH}": (Level.POD, HASH, ""),
    SLICE: (Level.POD, UID, ""),
    f"kubepods-pod{ESCAPED}.slice": (Level.POD, UID, ""),
    f"kubelet-kubepods-besteffort-pod{ESCAPED}.slice": (Level.POD, UID, ""),
    CID: (Level.CONTAINER, "", CID),
    f"docker-{CID}.scope": (Level.CONTAINER, "", CID),
    f"cri-containerd-{CID}.scope": (Level.CONTAINER, "", CID),
    f"crio-{CID}.scope": (Level.CONTAINER, "", CID),
    f"{SLICE}:cri-containerd:{CID}": (Level.CONTAINER, UID, CID),
    "kubepods-burstable.slice": (Level.QOS, "", ""),
    "kubepods": (Level.ALLOCATABLE, "", ""),
    "burstable": (Level.OTHER, "", ""),
    f"pod{UID[:-1]}": (Level.OTHER, "", ""),
    f"pod{UID}x": (Level.OTHER, "", ""),
    f"pod{ESCAPED}": (Level.OTHER, "", ""),
    f"kubepods-burstable-pod{UID}.slice": (Level.OTHER, "", ""),
    f"xkubepods-pod{ESCAPED}.slice": (Level.OTHER, "", ""),
    CID[:12]: (Level.OTHER, "", ""),
    f"{CID}0": (Level.OTHER, "", ""),
    f"docker-{CID[:12]}.scope": (Level.OTHER, "", ""),
    "docker.service": (Level.OTHER, "", ""),
    "user.slice": (Level.OTHER, "", ""),
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=NAMES)
def test_a_last_name_alone(name: str, expected: tuple[Level, str, str]) -> None:
    found = read_cgroup_name(name)
    assert (found.level, found.pod_uid, found.container_id) == expected
    assert found.path == name


def test_an_unknown_name_below_a_pod_is_a_container_without_id() -> None:
    path = f"{POD}/kata_overhead"
    assert read_cgroup_path(path) == CgroupPath(path, Level.CONTAINER, UID, qos_class="Burstable")


hexadecimal = st.sampled_from("0123456789abcdef")
uids = st.uuids().map(str) | st.text(hexadecimal, min_size=32, max_size=32)
container_ids = st.text(hexadecimal, min_size=64, max_size=64)
names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)
plain_names = st.from_regex(r"[a-z][a-z0-9._@]{0,15}", fullmatch=True)
qos_classes = st.sampled_from([("", "Guaranteed"), ("burstable", "Burstable"), ("besteffort", "BestEffort")])
engines = st.sampled_from([("cri-containerd", "containerd"), ("crio", "cri-o"), ("docker", "docker")])
prefixes = st.sampled_from(["", f"/docker/{'e1' * 32}", "/lxc.payload.a", "/..", "/../..", "/a.slice/b.service"])


def cgroupfs(uid: str, qos: str, root: str, name: str) -> str:
    parts = [*root.split(), "kubepods", *qos.split(), f"pod{uid}", *name.split()]
    return "".join(f"/{part}" for part in parts)


def systemd(uid: str, qos: str, root: str, name: str) -> str:
    parts = [*root.split(), "kubepods", *qos.split(), "pod" + uid.replace("-", "_")]
    slices = ["-".join(parts[:end]) + ".slice" for end in range(1, len(parts) + 1)]
    return "".join(f"/{part}" for part in [*slices, *name.split()])


@given(uids, container_ids, qos_classes, engines, prefixes, st.sampled_from(["", "kubelet", "all_pods"]), st.data())
def test_what_is_built_is_read(
    uid: str, cid: str, qos: tuple[str, str], engine: tuple[str, str], prefix: str, root: str, data: st.DataObject
) -> None:
    below = "".join(f"/{name}" for name in data.draw(st.lists(names, max_size=3)))
    written, named = engine
    plain = data.draw(st.sampled_from([(cid, ""), (f"crio-{cid}", "cri-o")]))
    word, qos_class = qos
    slices = systemd(uid, word, root, "")
    forms = {
        prefix + cgroupfs(uid, word, root, plain[0]) + below: (Level.CONTAINER, cid, plain[1]),
        prefix + systemd(uid, word, root, f"{written}-{cid}.scope") + below: (Level.CONTAINER, cid, named),
        f"{prefix}/{slices.rpartition('/')[2]}:{written}:{cid}": (Level.CONTAINER, cid, named),
        prefix + cgroupfs(uid, word, root, ""): (Level.POD, "", ""),
        prefix + slices: (Level.POD, "", ""),
    }
    for path, (level, container_id, engine_name) in forms.items():
        if ".." not in below.split("/"):
            assert read_cgroup_path(path) == CgroupPath(path, level, uid, container_id, engine_name, qos_class)


pieces = st.sampled_from(
    ("kubepods", "kubepods.slice", "burstable", "kubepods-burstable.slice", f"pod{UID}", SLICE, UID, CID, "", "..")
) | st.sampled_from(
    (f"cri-containerd-{CID}.scope", f"{SLICE}:cri-containerd:{CID}", "kubelet.slice", "var", f"x{SLICE}", "kubelet")
)
STANDS = re.compile(
    r"/kubepods(/burstable|/besteffort)?/pod[^/]+(/.*)?"
    r"|(/\.\.)*(/kubepods\.slice)?(/kubepods-burstable\.slice)?/kubepods-burstable-pod[^/:]+\.slice(/.*)?"
    r"|/kubepods-burstable-pod[^/]+\.slice:.*"
)


@given(st.lists(pieces | plain_names | names, max_size=8).map("/".join) | st.text(max_size=200))
@example(f"/kubepods/pod{UID}/../../..")
def test_a_uid_is_only_taken_from_where_it_stands(path: str) -> None:
    found = read_cgroup_path(path)
    assert found.path == path
    if not found.pod_uid:
        return
    starts = [place.start() for place in re.finditer("/", path)]
    assert found.pod_uid == UID
    assert any(STANDS.fullmatch(re.sub("/+", "/", path[start:])) for start in starts)


@given(plain_names, uids, container_ids)
def test_what_a_container_makes_below_itself_is_the_containers(name: str, uid: str, cid: str) -> None:
    forged = f"{POD}/{CID}/{name}/kubepods/pod{uid}/{cid}"
    assert read_cgroup_path(forged).pod_uid == UID
    assert read_cgroup_path(f"{SLICES}/crio-{CID}.scope{cgroupfs(uid, '', '', cid)}").container_id == CID


def test_long_paths_take_no_time() -> None:
    for hostile in ("/kubepods" * 100_000, "/" * 1_000_000, "kubepods-" * 100_000, "/kubepods-x-" * 100_000):
        assert read_cgroup_path(hostile).pod_uid == ""
