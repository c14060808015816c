"""A person's home folder with kubectl and krew, and nothing else of theirs on PATH."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.memdoctor import Ran

from krew.manifest import MANIFEST, write

from .programs import KrewPrograms

SYSTEM = tuple(Path(folder) for folder in ("/usr/local/bin", "/usr/bin", "/bin"))
"""Where krew finds git."""


@dataclass(frozen=True, slots=True)
class Home:
    folder: Path
    kubeconfig: Path

    @property
    def krew_root(self) -> Path:
        return self.folder / ".krew"

    @property
    def bin(self) -> Path:
        """Of programs that krew did not install."""
        return self.folder / "bin"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def plugin(self) -> Path:
        """The link by which kubectl finds the plugin."""
        return self.krew_root / "bin" / "kubectl-memdoctor"

    def environ(self, path: tuple[Path, ...] | None = None) -> dict[str, str]:
        """`path` are all folders on PATH; without it those of krew, the person and the system, in that order."""
        folders = (self.krew_root / "bin", self.bin, *SYSTEM) if path is None else path
        return {
            "HOME": str(self.folder),
            "KREW_ROOT": str(self.krew_root),
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": os.pathsep.join(map(str, folders)),
            "TMPDIR": str(self.temporary),
        }

    def run(self, *command: str | Path, path: tuple[Path, ...] | None = None) -> Ran:
        environ = self.environ(path)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
        return Ran(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *arguments: str | Path) -> Ran:
        return self.run(self.bin / "kubectl", *arguments)

    def krew(self, *arguments: str | Path) -> str:
        """What `kubectl krew ...` says, which must succeed."""
        ran = self.kubectl("krew", *arguments)
        assert ran.code == 0, ran.out + ran.err
        return ran.out + ran.err

    def tree(self) -> dict[str, str]:
        """Every path below the folder, with where links lead; but for the index, where git writes what it likes."""
        index = self.krew_root / "index"
        paths = (path for path in self.folder.rglob("*") if index not in path.parents)
        return {str(path): str(path.readlink()) if path.is_symlink() else "" for path in paths}


def new_home(folder: Path, kubectl: Path, krew: KrewPrograms, kubeconfig: Path) -> Home:
    home = Home(folder, kubeconfig)
    for made in (home.bin, home.temporary):
        made.mkdir(parents=True)
    (home.bin / "kubectl").symlink_to(kubectl)
    (home.bin / "kubectl-krew").symlink_to(krew.krew)
    return home


@dataclass(frozen=True, slots=True)
class Index:
    """A git repository with a folder of manifests."""

    folder: Path

    def publish(self, manifest: str) -> None:
        file = self.folder / "plugins" / "memdoctor.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(manifest)
        self._git("init", "-q")
        self._git("add", "plugins")
        self._git("-c", "user.name=index", "-c", "user.email=index@example.com", "commit", "-q", "-m", "A release")

    def _git(self, *arguments: str) -> None:
        # Whoever runs the tests may sign their commits.
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", *arguments], cwd=self.folder, env=environ, check=True)


def prepare(home: Home, index: Index, bundle: Path) -> None:
    # Without any index krew would fetch its own, and it uninstalls nothing without one.
    home.krew("index", "add", "local", index.folder)
    write(home.folder, bundle.parent, release=False)


def install(home: Home, bundle: Path) -> None:
    """From the files themselves: nothing is fetched."""
    home.krew("install", f"--manifest={home.folder / MANIFEST}", f"--archive={bundle}")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's files at an address of this machine, which is what is yielded."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
