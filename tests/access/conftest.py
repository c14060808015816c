from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from .certificates import SERVER_NAME, Authority, KeyPair, new_authority
from .recording_server import Recorder, api_server, connect_proxy, socks_proxy, tls_context


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that run for the whole session, and the certificates that they and their clients hold."""

    recorder: Recorder
    folder: Path
    authority: Authority
    stranger: Authority
    alice: KeyPair
    https_port: int
    expired_port: int
    http_port: int
    proxy_port: int
    https_proxy_port: int
    socks_port: int

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    authority, stranger = new_authority("kubernetes"), new_authority("stranger")
    (folder / "ca.crt").write_bytes(authority.pair.certificate)
    serving = _written(folder / "server.pem", authority.server("127.0.0.1", SERVER_NAME))
    expired = _written(folder / "expired.pem", authority.expired_server("127.0.0.1"))
    recorder = Recorder()
    with ExitStack() as stack:
        https_port = stack.enter_context(api_server(recorder, tls_context(serving, folder / "ca.crt")))
        yield Stage(
            recorder=recorder,
            folder=folder,
            authority=authority,
            stranger=stranger,
            alice=authority.client("alice"),
            https_port=https_port,
            expired_port=stack.enter_context(api_server(recorder, tls_context(expired))),
            http_port=stack.enter_context(api_server(recorder)),
            proxy_port=stack.enter_context(connect_proxy(recorder, https_port)),
            https_proxy_port=stack.enter_context(connect_proxy(recorder, https_port, tls_context(serving))),
            socks_port=stack.enter_context(socks_proxy(recorder, https_port)),
        )


def _written(path: Path, pair: KeyPair) -> Path:
    path.write_bytes(pair.certificate + pair.key)
    return path


@pytest.fixture
def bare_environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without proxies, kubeconfig or cluster, with an empty home folder as HOME and working folder."""
    for name in list(os.environ):
        if name not in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return monkeypatch
