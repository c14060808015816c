"""kubectl's own answer to "which server, and as whom", read from kubectl itself.

kubectl loads and merges the files (`config view --raw -o json`), so every rule about KUBECONFIG, several files and
broken files is its own. Neither --minify nor --flatten is asked for: the first fails where `kubectl get` works
(--server without any context, --cluster and --user beside one), the second on files of contexts that nobody asked for,
and neither resolves a relative tokenFile or plugin. `connection` then lets the flags override, by client-go's rules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from kubectl_memdoctor.cluster.source import AccessError

KUBECTL_SECONDS = 30.0
"""How long kubectl may take to print its configuration: a home folder on a network that hangs must not hang us."""


class ConnectionFlags(Struct, frozen=True):
    """kubectl's flags about the connection, as given; None or empty when not given.

    `as_user` is --as, which Python does not allow as a name. `request_timeout` is kubectl's text (`0`, `5s`, `1m30s`).
    """

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    server: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    token: str | None = None
    username: str | None = None
    password: str | None = None
    as_user: str | None = None
    as_uid: str | None = None
    as_group: tuple[str, ...] = ()
    as_user_extra: tuple[str, ...] = ()
    request_timeout: str | None = None
    disable_compression: bool | None = None


class NamedExtension(Struct, frozen=True):
    name: str = ""
    extension: msgspec.Raw = msgspec.Raw(b"null")


class Cluster(Struct, frozen=True, rename="kebab"):
    """https://github.com/kubernetes/client-go/blob/v0.37.0/tools/clientcmd/api/v1/types.go, as the next ones."""

    server: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority: str = ""
    certificate_authority_data: bytes = b""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: tuple[NamedExtension, ...] | None = None


class ExecEnvVar(Struct, frozen=True):
    name: str = ""
    value: str = ""


class ExecConfig(Struct, frozen=True, rename="camel"):
    """A credential plugin: the command that prints a token or a client certificate."""

    command: str = ""
    args: tuple[str, ...] | None = None
    env: tuple[ExecEnvVar, ...] | None = None
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class AuthProvider(Struct, frozen=True):
    name: str = ""
    config: dict[str, str] | None = None


class User(Struct, frozen=True, rename="kebab"):
    """What kubeconfig calls a user and client-go an AuthInfo."""

    client_certificate: str = ""
    client_certificate_data: bytes = b""
    client_key: str = ""
    client_key_data: bytes = b""
    token: str = ""
    token_file: str = field(default="", name="tokenFile")
    as_user: str = field(default="", name="as")
    as_uid: str = ""
    as_groups: tuple[str, ...] | None = None
    as_user_extra: dict[str, tuple[str, ...] | None] | None = None
    username: str = ""
    password: str = ""
    auth_provider: AuthProvider | None = None
    exec: ExecConfig | None = None


class Context(Struct, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class NamedCluster(Struct, frozen=True):
    name: str
    cluster: Cluster = Cluster()


class NamedUser(Struct, frozen=True):
    name: str
    user: User = User()


class NamedContext(Struct, frozen=True):
    name: str
    context: Context = Context()


class PrintedConfig(Struct, frozen=True, rename="kebab"):
    """What `kubectl config view -o json` prints; an empty list is null."""

    clusters: tuple[NamedCluster, ...] | None = None
    users: tuple[NamedUser, ...] | None = None
    contexts: tuple[NamedContext, ...] | None = None
    current_context: str = ""


class Kubeconfig(Struct, frozen=True):
    """All files merged; relative paths still as written."""

    clusters: Mapping[str, Cluster]
    users: Mapping[str, User]
    contexts: Mapping[str, Context]
    current_context: str

    def is_empty(self) -> bool:
        return not (self.clusters or self.users or self.contexts)


EMPTY = Kubeconfig({}, {}, {}, "")


class Kubectl(Struct, frozen=True):
    """The kubectl to ask, and the environment that it runs in."""

    path: str
    environ: Mapping[str, str]

    def view(self, kubeconfig: str | None) -> subprocess.Popen[bytes]:
        """Starts `kubectl config view`; raises AccessError when it cannot even be started."""
        arguments = [self.path, "config", "view", "--raw", "-o", "json"]
        if kubeconfig:
            arguments.append(f"--kubeconfig={kubeconfig}")
        try:
            return subprocess.Popen(
                arguments,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise AccessError(f"error: {self.path} cannot be run: {error.strerror}") from None


class Lookup:
    """A `kubectl config view` under way: start it, import what takes long, then `finish`."""

    def __init__(self, flags: ConnectionFlags, environ: Mapping[str, str]) -> None:
        self.flags = flags
        self.environ = environ
        self.kubectl = _find_kubectl(environ)
        self._process = self.kubectl.view(flags.kubeconfig) if self.kubectl else None

    def finish(self) -> Kubeconfig | None:
        """All files merged; None where there is no kubectl. Raises AccessError with kubectl's own reason."""
        if self._process is None:
            return None
        kubeconfig = self.flags.kubeconfig
        # `config view` calls a missing file empty, `get` refuses it.
        if kubeconfig and not os.path.exists(kubeconfig):
            self._process.kill()
            self._process.communicate()
            raise AccessError(f"error: stat {kubeconfig}: no such file or directory")
        return _answer(self._process)

    def files(self) -> tuple[Path, ...]:
        """The files that kubectl merges, first one first; those that do not exist too."""
        if self.flags.kubeconfig:
            return (Path(self.flags.kubeconfig),)
        listed = self.environ.get("KUBECONFIG", "")
        if listed:
            return tuple(Path(name) for name in dict.fromkeys(listed.split(os.pathsep)) if name)
        return (Path(self.environ.get("HOME") or os.path.expanduser("~"), ".kube", "config"),)

    def resolve(self, config: Kubeconfig, user: str, cluster: str) -> Kubeconfig:
        """`config` with the relative paths of one user and one cluster made absolute, from the folder of their file."""
        mine, server = config.users.get(user), config.clusters.get(cluster)
        if mine is not None and _is_relative(*_user_paths(mine)):
            resolved = _resolve_user(mine, self._folder(lambda file: user in file.users))
            config = replace(config, users={**config.users, user: resolved})
        if server is not None and _is_relative(server.certificate_authority):
            folder = self._folder(lambda file: cluster in file.clusters)
            authority = os.path.normpath(os.path.join(folder, server.certificate_authority))
            placed = msgspec.structs.replace(server, certificate_authority=authority)
            config = replace(config, clusters={**config.clusters, cluster: placed})
        return config

    def _folder(self, holds: Callable[[Kubeconfig], bool]) -> str:
        """The folder of the first file that `holds` the entry: of entries of one name kubectl takes the first."""
        files = [file for file in self.files() if file.exists()]
        if len(files) > 1 and self.kubectl is not None:
            answers = [self.kubectl.view(str(file)) for file in files]
            configs = [_answer(answer) for answer in answers]
            files = [file for file, config in zip(files, configs, strict=True) if holds(config)]
        return os.path.dirname(os.path.abspath(files[0])) if files else os.getcwd()


def start(flags: ConnectionFlags, environ: Mapping[str, str] | None = None) -> Lookup:
    """Starts kubectl, so that it runs beside the imports that the connection needs."""
    return Lookup(flags, os.environ if environ is None else environ)


def _find_kubectl(environ: Mapping[str, str]) -> Kubectl | None:
    """kubectl tells its plugins where it lies: https://github.com/kubernetes/kubectl/blob/v0.37.0/pkg/cmd/plugin.go"""
    path = environ.get("KUBECTL_PATH") or shutil.which("kubectl", path=environ.get("PATH"))
    return Kubectl(path, environ) if path else None


def _answer(process: subprocess.Popen[bytes]) -> Kubeconfig:
    try:
        output, complaint = process.communicate(timeout=KUBECTL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AccessError(f"error: kubectl config view gave no answer within {KUBECTL_SECONDS:.0f}s") from None
    if process.returncode != 0:
        reason = " ".join(complaint.decode(errors="replace").split())
        raise AccessError(reason or f"error: kubectl config view failed with exit code {process.returncode}")
    try:
        printed = msgspec.json.decode(output, type=PrintedConfig)
    except msgspec.DecodeError:
        raise AccessError("error: kubectl config view -o json did not print a configuration") from None
    return Kubeconfig(
        clusters={entry.name: entry.cluster for entry in printed.clusters or ()},
        users={entry.name: entry.user for entry in printed.users or ()},
        contexts={entry.name: entry.context for entry in printed.contexts or ()},
        current_context=printed.current_context,
    )


def _user_paths(user: User) -> tuple[str, ...]:
    """A plugin's command is a path only when it has a slash in it."""
    command = user.exec.command if user.exec and os.sep in user.exec.command else ""
    return (user.client_certificate, user.client_key, user.token_file, command)


def _is_relative(*paths: str) -> bool:
    return any(path and not os.path.isabs(path) for path in paths)


def _resolve_user(user: User, folder: str) -> User:
    certificate, key, token_file, command = (
        os.path.normpath(os.path.join(folder, path)) if path else "" for path in _user_paths(user)
    )
    plugin = msgspec.structs.replace(user.exec, command=command) if user.exec and command else user.exec
    return msgspec.structs.replace(
        user, client_certificate=certificate, client_key=key, token_file=token_file, exec=plugin
    )
