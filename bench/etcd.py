"""The least of a client for etcd: values by their keys, many at once."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

Entry = tuple[bytes, bytes]
"""A key and its value."""
PUTS_AT_ONCE = 100
"""etcd takes 128, and 1.5 MiB: https://etcd.io/docs/v3.6/dev-guide/limit/"""
CONNECTIONS = 3


class Etcd:
    """Its gateway for JSON: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/"""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS)
        self._threads = ThreadPoolExecutor(CONNECTIONS)

    def __enter__(self) -> Etcd:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._pool.clear()

    def value(self, key: str) -> bytes:
        (found,) = self._call("kv/range", b'{"key":"%s"}' % base64.b64encode(key.encode()))["kvs"]
        return base64.b64decode(found["value"])

    def put(self, entries: Iterable[Entry]) -> None:
        """Holds a few batches in memory at a time."""
        waiting = iter(entries)
        while batches := [
            batch for _ in range(CONNECTIONS * 2) if (batch := [*itertools.islice(waiting, PUTS_AT_ONCE)])
        ]:
            list(self._threads.map(self._put, batches))

    def compact(self) -> None:
        """Forgets all that was before now, as the API server's own compactor does every five minutes, and tells it:
        https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go"""
        revision = self._call("maintenance/status", b"{}")["header"]["revision"]
        self._put([(b"compact_rev_key", revision.encode())])
        self._call("kv/compaction", b'{"revision":%s,"physical":true}' % revision.encode())

    def _put(self, entries: list[Entry]) -> None:
        puts = (
            b'{"requestPut":{"key":"%s","value":"%s"}}' % (base64.b64encode(key), base64.b64encode(value))
            for key, value in entries
        )
        self._call("kv/txn", b'{"success":[%s]}' % b",".join(puts))

    def _call(self, call: str, body: bytes) -> dict[str, Any]:
        response = self._pool.request("POST", f"{self._url}/v3/{call}", body=body)
        if response.status != 200:
            raise RuntimeError(f"etcd: {response.status}: {response.data[:300]!r}")
        answer: dict[str, Any] = json.loads(response.data)
        return answer
