"""Builds krew, its validator and the oldest kubectl that is held to: `PYTHONPATH=tests python -m with_krew.build`.

Only what the cache folder does not hold yet: two or three minutes on two cores the first time.
"""

from __future__ import annotations

import shutil
import sys

from cluster.build import ldflags
from cluster.go_programs import BuildError, alone, go_build
from cluster.programs import KUBERNETES, pinned_version

from .programs import KREW, KREW_MODULE, KUBECTL_MODULE, krew_programs


def main() -> int:
    if shutil.which("go") is None:
        print("error: Go is not installed, and krew is built from source", file=sys.stderr)
        return 1
    try:
        with alone():
            _build_missing()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _build_missing() -> None:
    wanted = krew_programs()
    for file in wanted.missing():
        if file == wanted.oldest_kubectl:
            flags = ldflags(pinned_version(KUBECTL_MODULE, KUBERNETES))
            go_build(KUBECTL_MODULE, f"{KUBERNETES}/cmd/kubectl", file, ldflags=flags)
        else:
            # Without a version in it, so that it does not ask GitHub for a newer one.
            go_build(KREW_MODULE, f"{KREW}/cmd/{file.name}", file)


if __name__ == "__main__":
    sys.exit(main())
