"""Runs one command and prints, as JSON, what the kernel accounts to it: `launch.py STDOUT COMMAND...`.

The peak that the kernel keeps begins with the memory of the process that a child was made from, so children that are
measured are made by this small one, which imports next to nothing:
https://github.com/torvalds/linux/blob/v6.12/fs/exec.c (setmax_mm_hiwater_rss in exec_mmap)
"""

import json
import os
import sys
import time


def main(stdout: str, command: list[str]) -> None:
    """Prints seconds of `wall` and `cpu`, the largest resident set in MB, and the exit code (negative: the signal)."""
    to_file = (os.POSIX_SPAWN_OPEN, 1, stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    started = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=[to_file])
    _, status, usage = os.wait4(child, 0)
    taken = {
        "wall": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        "exit_code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
