"""krew, its validator and the oldest kubectl that is held to: which versions, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.programs import CACHE, KUBERNETES, pinned_version

MODULES = Path(__file__).parent / "go"
KREW = "sigs.k8s.io/krew"
KREW_MODULE, KUBECTL_MODULE = MODULES / "krew", MODULES / "kubernetes-1.27"


@dataclass(frozen=True, slots=True)
class KrewPrograms:
    """The files need not be there yet."""

    krew: Path
    validate_krew_manifest: Path
    oldest_kubectl: Path

    def missing(self) -> tuple[Path, ...]:
        every = (self.krew, self.validate_krew_manifest, self.oldest_kubectl)
        return tuple(file for file in every if not file.is_file())


def krew_programs() -> KrewPrograms:
    krew = CACHE / f"krew-{pinned_version(KREW_MODULE, KREW)}"
    return KrewPrograms(
        krew=krew / "krew",
        validate_krew_manifest=krew / "validate-krew-manifest",
        oldest_kubectl=CACHE / f"kubernetes-{pinned_version(KUBECTL_MODULE, KUBERNETES)}" / "kubectl",
    )
