"""Builds the container image for use in a cluster: `python -m image.build BUNDLE`, on Debian or Ubuntu, with no engine.

The image is what Google's distroless images are: one layer without shell or package manager, with the bundle, the C
library of this machine and what a program expects in /etc; it runs as 65532. There is no kubectl in it: in a pod the
program takes the pod's service account. The same bundle on the same machine gives the same image, to the byte.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from krew.manifest import homepage

REPOSITORY = "ghcr.io/kubectl-memdoctor/kubectl-memdoctor"
USER = 65532
"""What distroless images call nonroot."""
PLACE = "opt/kubectl-memdoctor"
PROGRAM = f"{PLACE}/kubectl-memdoctor/kubectl-memdoctor"
LIBRARIES = {
    "libc6": ("c", "dl", "m", "nss_dns", "nss_files", "pthread", "resolv", "rt", "util"),
    "zlib1g": ("z",),
}
"""Package -> of its libraries what the bundle leaves to the machine, and what looks up names."""
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
LINKS = {"lib": "usr/lib", "lib64": "usr/lib64"}
FILES = {
    "etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\nnonroot:x:{USER}:{USER}:nonroot:/home/nonroot:/nonexistent\n",
}
FOLDERS = {"home/nonroot": USER, "proc": 0, "sys": 0, "dev": 0}
"""Folder -> owner."""


class ImageError(Exception):
    """Its text is the line for stderr."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The archive of `make bundle`: `kubectl-memdoctor_VERSION_linux_ARCH.tar.gz`."""

    file: Path
    version: str
    architecture: str

    def entries(self) -> dict[str, Entry]:
        with tarfile.open(self.file) as packed:
            return {
                f"{PLACE}/{member.name}": Entry(packed.extractfile(member).read(), member.mode)  # type: ignore[union-attr]
                for member in packed.getmembers()
                if member.isfile()
            }

    def epoch(self) -> int:
        """Seconds: how old its files are, as which the image's count too."""
        with tarfile.open(self.file) as packed:
            return int(max(member.mtime for member in packed.getmembers()))


@dataclass(frozen=True, slots=True)
class Entry:
    content: bytes
    mode: int = 0o644


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("error: usage: python -m image.build BUNDLE", file=sys.stderr)
        return 2
    try:
        print(build(Path(arguments[0])))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(file: Path) -> Path:
    """Writes the OCI archive beside the bundle; its name. Raises ImageError."""
    bundle = _bundle(file)
    entries = bundle.entries() | machine_entries()
    target = file.with_name(f"kubectl-memdoctor-image_{bundle.version}_linux_{bundle.architecture}.tar")
    unfinished = target.with_name(f".{target.name}")
    unfinished.write_bytes(oci_archive(bundle, layer(entries, bundle.epoch())))
    unfinished.replace(target)
    return target


def reference(version: str) -> str:
    return f"{REPOSITORY}:{version}"


def _bundle(file: Path) -> Bundle:
    found = re.fullmatch(r"kubectl-memdoctor_(\d[\w.+-]*)_linux_(amd64|arm64)\.tar\.gz", file.name)
    if found is None or not file.is_file():
        raise ImageError(f"{file} is no bundle for Linux: make bundle")
    return Bundle(file, found[1], found[2])


def machine_entries() -> dict[str, Entry]:
    """Libraries and certificate authorities, with their licences and what tells scanners their versions."""
    entries = {AUTHORITIES: Entry(Path("/", AUTHORITIES).read_bytes())}
    for package, names in LIBRARIES.items():
        wanted = re.compile(rf"/(?:ld-linux-[\w-]+|lib(?:{'|'.join(names)}))\.so\.\d+$")
        listed = _run("dpkg-query", "--listfiles", package).splitlines()
        entries |= {_below_usr(path): Entry(Path(path).read_bytes(), 0o755) for path in filter(wanted.search, listed)}
    for package in (*LIBRARIES, "ca-certificates"):
        terms = f"usr/share/doc/{package}/copyright"
        entries[terms] = Entry(Path("/", terms).read_bytes())
        entries[f"var/lib/dpkg/status.d/{package}"] = Entry(_run("dpkg-query", "--status", package).encode())
    return entries | {path: Entry(text.encode()) for path, text in FILES.items()}


def _below_usr(path: str) -> str:
    """/lib and /lib64 are links to what lies below /usr."""
    return path.lstrip("/") if path.startswith("/usr/") else f"usr{path}"


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise ImageError(f"{command[0]} is not here: the image is built on Debian or Ubuntu") from None
    except subprocess.CalledProcessError as error:
        raise ImageError(error.stderr.strip()) from None


def layer(entries: Mapping[str, Entry], epoch: int) -> bytes:
    """A tar of the files, in the folders that they need."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, owner in sorted(_folders(entries).items()):
            tar.addfile(_member(name, epoch, type=tarfile.DIRTYPE, mode=0o755, uid=owner, gid=owner))
        for name, target in LINKS.items():
            tar.addfile(_member(name, epoch, type=tarfile.SYMTYPE, linkname=target, mode=0o777))
        for name, entry in sorted(entries.items()):
            size = len(entry.content)
            tar.addfile(_member(name, epoch, size=size, mode=entry.mode), io.BytesIO(entry.content))
        tar.addfile(_member("tmp", epoch, type=tarfile.DIRTYPE, mode=0o1777))
    return packed.getvalue()


def _folders(entries: Mapping[str, Entry]) -> dict[str, int]:
    """Folder -> owner, all above those that are wanted included."""
    above = {str(folder) for name in (*entries, *FOLDERS) for folder in PurePosixPath(name).parents} - {"."}
    return dict.fromkeys(above, 0) | FOLDERS


def _member(name: str, epoch: int, **attributes: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mtime = epoch
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member


def oci_archive(bundle: Bundle, layer: bytes) -> bytes:
    created = datetime.fromtimestamp(bundle.epoch(), UTC).isoformat().replace("+00:00", "Z")
    packed = gzip.compress(layer, mtime=0)
    config = {
        "created": created,
        "architecture": bundle.architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": [f"PATH=/{PurePosixPath(PROGRAM).parent}", f"SSL_CERT_FILE=/{AUTHORITIES}"],
            "Entrypoint": [f"/{PROGRAM}"],
            "WorkingDir": "/home/nonroot",
            "Labels": _labels(bundle),
        },
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created": created, "created_by": "image/build.py"}],
    }
    blobs = [json.dumps(config).encode(), packed]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", blobs[0]),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        "annotations": _labels(bundle) | {"org.opencontainers.image.created": created},
    }
    blobs.append(json.dumps(manifest).encode())
    names = {
        # What containerd calls it, and what skopeo and podman do.
        "io.containerd.image.name": reference(bundle.version),
        "org.opencontainers.image.ref.name": bundle.version,
    }
    described = _descriptor("application/vnd.oci.image.manifest.v1+json", blobs[-1]) | {"annotations": names}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described],
    }
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    files |= {f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}": blob for blob in blobs}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            tar.addfile(_member(name, bundle.epoch(), size=len(content), mode=0o644), io.BytesIO(content))
    return archive.getvalue()


def _labels(bundle: Bundle) -> dict[str, str]:
    return {
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.source": homepage(),
        "org.opencontainers.image.title": "kubectl-memdoctor",
        "org.opencontainers.image.version": bundle.version,
    }


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
