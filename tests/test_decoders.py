"""Decoders may be wanted for the first time in several threads at once."""

from __future__ import annotations

import subprocess
import sys

FIRST_USE_IN_THREADS = """
import json, sys, threading
from kubectl_memdoctor.objects import RESOURCES, decode, decode_list

sys.setswitchinterval(1e-6)
spec = {"containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}], "volumes": [{"emptyDir": {}}]}
template = {"spec": spec}
entry = {
    "metadata": {"name": "x", "ownerReferences": [{"kind": "y"}], "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {**spec, "template": template, "jobTemplate": {"spec": {"template": template}}},
    "status": {"conditions": [{"type": "z"}], "containerStatuses": [{"state": {"waiting": {"reason": "r"}}}]},
    "data": {"spec": {"template": template}},
}
types = list({resource.type for resource in RESOURCES})
together = threading.Barrier(8)


def read(turn):
    together.wait()
    for type_ in types[turn:] + types[:turn]:
        assert decode_list(json.dumps({"items": [entry]}), type_)[1] == (decode(json.dumps(entry), type_),)


threads = [threading.Thread(target=read, args=(turn,)) for turn in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("read")
"""


def test_decoders_are_built_one_at_a_time() -> None:
    """Three tries: a decoder that is built beside another one crashes nine in ten of them."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FIRST_USE_IN_THREADS], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "read\n", "")
