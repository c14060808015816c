"""What a node is configured with, and where things lie on it; the same on this machine and in a virtual one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.control_plane import ControlPlane, token

from .images import images
from .programs import Generation

BIN = "/opt/node/bin"
CNI_BIN = "/opt/cni/bin"
IMAGES = "/opt/node/images"
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
BRIDGE = "cni0"
NETWORK = "/etc/cni/net.d"
BROKEN_NETWORK = "/etc/cni/broken.d"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
KUBECONFIG = "/etc/kubernetes/kubelet.conf"
AUTHORITY = "/etc/kubernetes/pki/ca.crt"
LOGS = "/var/log"
"""Here, the kubelet serves them as nodes/NAME/proxy/logs/."""
HANDLERS = ("runc", "crun", "broken-network")
"""What containerd knows."""
RUNTIME_CLASSES = (*HANDLERS, "nosuch")


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster, before it is there."""

    name: str
    address: str
    pods: str
    """The network that its pods' addresses are from: `10.78.0.0/24`."""
    may_lower_oom_score: bool
    """False where root has no CAP_SYS_RESOURCE, as in many containers."""
    evicts: bool = True
    """Whether pods are evicted when memory runs short, the node's or what all pods may use."""

    @property
    def user(self) -> str:
        """https://kubernetes.io/docs/reference/access-authn-authz/node/"""
        return f"system:node:{self.name}"


def programs_and_images(generation: Generation) -> dict[str, Path]:
    """Path on the node -> file on this machine. Raises BuildError."""
    return {
        **{f"{BIN}/{name}": file for name, file in generation.node.items()},
        **{f"{CNI_BIN}/{file.name}": file for file in sorted(generation.cni.iterdir())},
        **{f"{IMAGES}/{file.name}": file for file in images().values()},
    }


def settings(generation: Generation, node: Node, plane: ControlPlane) -> dict[str, bytes]:
    """Path on the node -> content."""
    return {
        CONTAINERD_CONFIG: _containerd(node).encode(),
        f"{NETWORK}/10-pods.conflist": _network(node),
        f"{BROKEN_NETWORK}/10-pods.conflist": _broken_network(node),
        KUBELET_CONFIG: json.dumps(_kubelet(generation, node), indent=1).encode(),
        KUBECONFIG: json.dumps(_kubeconfig(node, plane), indent=1).encode(),
        AUTHORITY: plane.authority_file.read_bytes(),
    }


def containerd_command() -> list[str]:
    return ["env", f"PATH={PATH}", f"{BIN}/containerd", "--config", CONTAINERD_CONFIG]


def kubelet_command(node: Node) -> list[str]:
    options = [f"--config={KUBELET_CONFIG}", f"--kubeconfig={KUBECONFIG}"]
    options += [f"--hostname-override={node.name}", f"--node-ip={node.address}", "--v=2"]
    return ["env", f"PATH={PATH}", f"{BIN}/kubelet", *options]


def ctr(*arguments: str) -> list[str]:
    return [f"{BIN}/ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments]


def _containerd(node: Node) -> str:
    """Version 2, which containerd 1.6 reads and 2.x too: https://github.com/containerd/containerd/blob/main/docs/cri/config.md"""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    lines = [
        "version = 2",
        f"[{cri}]",
        'sandbox_image = "registry.k8s.io/pause:3.10"',
        f"restrict_oom_score_adj = {str(not node.may_lower_oom_score).lower()}",
        f"[{cri}.cni]",
        f'bin_dir = "{CNI_BIN}"',
        f'conf_dir = "{NETWORK}"',
        f"[{cri}.containerd]",
        'snapshotter = "overlayfs"',
        'default_runtime_name = "runc"',
    ]
    for handler in HANDLERS:
        runtime = f"{cri}.containerd.runtimes.{handler}"
        program = "crun" if handler == "crun" else "runc"
        lines += [f"[{runtime}]", 'runtime_type = "io.containerd.runc.v2"']
        lines += [f'cni_conf_dir = "{BROKEN_NETWORK}"'] if handler == "broken-network" else []
        lines += [f"[{runtime}.options]", f'BinaryName = "{BIN}/{program}"', "SystemdCgroup = false"]
    return "\n".join(lines) + "\n"


def _network(node: Node) -> bytes:
    addresses = {"type": "host-local", "ranges": [[{"subnet": node.pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return _conflist("pods", {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipam": addresses})


def _broken_network(node: Node) -> bytes:
    """Its plugin says that lo is not a bridge: it fails to add a sandbox, and does not mind to remove one."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": node.pods}]]}
    return _conflist("broken", {"type": "bridge", "bridge": "lo", "ipam": addresses})


def _conflist(name: str, *plugins: dict[str, object]) -> bytes:
    return json.dumps({"cniVersion": "1.0.0", "name": name, "plugins": plugins}, indent=1).encode()


def _kubelet(generation: Generation, node: Node) -> dict[str, object]:
    """https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"""
    content: dict[str, object] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": AUTHORITY},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": ["10.0.0.10"],
        "clusterDomain": "cluster.local",
        # Pods ask for little so that many fit, and yet start at once, also on emulated processors.
        "cpuCFSQuota": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "failSwapOn": False,
        # Memory as on any node; how full the disk is, is the machine's own business.
        "evictionHard": {
            "memory.available": "100Mi" if node.evicts else "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
    }
    if not node.may_lower_oom_score:
        content["oomScoreAdj"] = 0
    if _minor(generation) >= 31:
        # https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4569-cgroup-v1-maintenance-mode
        content["failCgroupV1"] = False
    return content


def _minor(generation: Generation) -> int:
    return int(generation.kubernetes_version.split(".")[1])


def _kubeconfig(node: Node, plane: ControlPlane) -> dict[str, object]:
    cluster = {"server": plane.server, "certificate-authority": AUTHORITY}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "node", "cluster": cluster}],
        "users": [{"name": node.user, "user": {"token": token(node.user)}}],
        "contexts": [{"name": "node", "context": {"cluster": "node", "user": node.user}}],
        "current-context": "node",
    }
