"""etcd and kube-apiserver on free ports of one address, with RBAC, tokens, an audit log and real admission.

There is no controller manager, no scheduler and no kubelet; what a kubelet asks for is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from access.certificates import new_authority

from .api import Api
from .programs import Programs

READY_SECONDS = 120.0
"""Far more than the two or three that it takes: the machine may be busy."""
STOP_SECONDS = 10.0
ADMIN = "admin"
USERS = {
    ADMIN: "system:masters",
    "reader": "on-call",
    "namespaced": "",
    "pods-only": "",
    "stranger": "",
    "informed": "",
    "uninformed": "",
    "delegate": "",
}
"""User -> group. A user's token is `token-of-USER`; what the users may do, the tests bind."""
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""Whom the API server is to a kubelet: https://kubernetes.io/docs/setup/best-practices/certificates/"""
FRONT_PROXY = "front-proxy-client"
"""Whom the API server is to the servers of other APIs:
https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/"""
LOOPBACK = "127.0.0.1"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True)
class ControlPlane:
    server: str
    etcd: str
    folder: Path
    programs: Programs

    @property
    def authority_file(self) -> Path:
        return self.folder / "ca.crt"

    def api(self, user: str = ADMIN) -> Api:
        return Api(self.server, token(user), str(self.authority_file))

    def kubeconfig(self, user: str = ADMIN, namespace: str = "default") -> Path:
        """A file with one context; `user` must be one of those it was started with."""
        file = self.folder / f"kubeconfig-{user}-{namespace}"
        cluster = {"server": self.server, "certificate-authority": str(self.authority_file)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token(user)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "current-context": "test",
        }
        file.write_text(json.dumps(content))
        return file

    def audited(self, user_agent: str) -> list[dict[str, Any]]:
        """The audit log's events of one client program, oldest first."""
        events = map(json.loads, (self.folder / "audit.log").read_text().splitlines())
        return [event for event in events if event.get("userAgent", "").startswith(user_agent)]


def token(user: str) -> str:
    return f"token-of-{user}"


@contextlib.contextmanager
def control_plane(
    programs: Programs, folder: Path, *, address: str = LOOPBACK, users: Mapping[str, str] = USERS
) -> Iterator[ControlPlane]:
    """Runs until the block is left, however that happens."""
    client_port, peer_port, secure_port = _free_ports(3)
    etcd, server = f"http://{LOOPBACK}:{client_port}", f"https://{address}:{secure_port}"
    _write_files(folder, address, users)
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(folder, _etcd_command(programs, folder, etcd, f"http://{LOOPBACK}:{peer_port}")))
        command = _api_server_command(programs, folder, etcd, address, secure_port)
        api_server = stack.enter_context(running(folder, command))
        plane = ControlPlane(server, etcd, folder, programs)
        _wait_until_ready(plane, api_server)
        yield plane


def _write_files(folder: Path, address: str, users: Mapping[str, str]) -> None:
    authority = new_authority("kubernetes")
    serving, service_accounts = authority.server(address, "localhost"), authority.client("service-accounts")
    kubelet_client = authority.client(KUBELET_CLIENT)
    front_proxy_authority = new_authority("front-proxy-ca")
    front_proxy = front_proxy_authority.client(FRONT_PROXY)
    (folder / "ca.crt").write_bytes(authority.pair.certificate)
    (folder / "server.crt").write_bytes(serving.certificate)
    (folder / "server.key").write_bytes(serving.key)
    (folder / "service-accounts.crt").write_bytes(service_accounts.certificate)
    (folder / "service-accounts.key").write_bytes(service_accounts.key)
    (folder / "kubelet-client.crt").write_bytes(kubelet_client.certificate)
    (folder / "kubelet-client.key").write_bytes(kubelet_client.key)
    (folder / "front-proxy-ca.crt").write_bytes(front_proxy_authority.pair.certificate)
    (folder / "front-proxy.crt").write_bytes(front_proxy.certificate)
    (folder / "front-proxy.key").write_bytes(front_proxy.key)
    (folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
    rows = (f"{token(user)},{user},uid-of-{user}" + (f",{group}" if group else "") for user, group in users.items())
    (folder / "tokens.csv").write_text("\n".join(rows) + "\n")


def _etcd_command(programs: Programs, folder: Path, client_url: str, peer_url: str) -> list[str]:
    return [
        str(programs.etcd),
        f"--data-dir={folder / 'etcd'}",
        "--name=test",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=test={peer_url}",
        "--unsafe-no-fsync",
    ]


def _api_server_command(programs: Programs, folder: Path, etcd: str, address: str, port: int) -> list[str]:
    return [
        str(programs.kube_apiserver),
        f"--etcd-servers={etcd}",
        # So that only tests compact. With 0 the server's cache would not notice that they do.
        "--etcd-compaction-interval=24h",
        f"--bind-address={address}",
        f"--secure-port={port}",
        # A machine without network has no other address, and a loopback one cannot be an endpoint.
        f"--advertise-address={address}",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--kubelet-client-certificate={folder / 'kubelet-client.crt'}",
        f"--kubelet-client-key={folder / 'kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={folder / 'front-proxy-ca.crt'}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={folder / 'front-proxy.crt'}",
        f"--proxy-client-key-file={folder / 'front-proxy.key'}",
        # As kubeadm has it.
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-accounts.crt'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        f"--audit-policy-file={folder / 'audit-policy.json'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-mode=blocking",
    ]


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program until the block is left; its output goes to NAME.log in `folder`."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, preexec_fn=_end_with_parent)
    with ending(process):
        yield process


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the process when the block is left, gently at first."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """pytest may be killed without a chance to clean up: https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html"""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_ready(plane: ControlPlane, api_server: subprocess.Popen[bytes]) -> None:
    api = plane.api()
    deadline = time.monotonic() + READY_SECONDS
    while api_server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if api.raw("/readyz").data == b"ok":
                return
        time.sleep(0.1)
    log = (plane.folder / "kube-apiserver.log").read_text(errors="replace")
    raise RuntimeError(f"kube-apiserver did not become ready:\n{log[-3000:]}")
