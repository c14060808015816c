"""Builds and fetches the runtimes that are measured: `PYTHONPATH=tests python -m lab.build`.

Nothing can be fetched in the enclosure where they are measured. Only what the cache folder does not hold yet: some
minutes the first time.
"""

from __future__ import annotations

import sys

from cluster.go_programs import BuildError

from .runtimes import runtimes


def main() -> int:
    try:
        runtimes()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
