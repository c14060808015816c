"""Decoders may be wanted for the first time in several threads at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

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

OF_SEVERAL_CLUSTERS = """
import sys, threading
from kubectl_memdoctor.measured_minimum import decode
from kubectl_memdoctor.sandbox_minimum import table

sys.setswitchinterval(1e-6)
saved = b'''{"apiVersion": "memdoctor.dev/v1", "kind": "SandboxMinimumList", "items": [{"node": "worker-1", "pool":
 {"containerRuntimeVersion": "containerd://2.2.0", "kernelVersion": "6.10", "architecture": "amd64", "cpus": 2,
 "handler": ""}, "failedBytes": 0, "readyBytes": 4, "tries": [{"limitBytes": 4, "ready": 4, "failed": 0}],
 "image": "pause", "takenAt": "2026-11-24T18:00:00Z"}]}'''
together = threading.Barrier(16)


def read(turn):
    together.wait()
    assert decode(saved, "saved") if turn % 2 else table().rows


threads = [threading.Thread(target=read, args=(turn,)) for turn in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("read")
"""


@pytest.mark.parametrize("first_use", [FIRST_USE_IN_THREADS, OF_SEVERAL_CLUSTERS], ids=["objects", "minimums"])
def test_decoders_are_built_one_at_a_time(first_use: str) -> None:
    """Three tries: a decoder that is built beside another one crashes nine in ten of them."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", first_use], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "read\n", "")
