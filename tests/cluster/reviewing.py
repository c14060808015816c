"""An admission webhook that reviews the pods of one namespace."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from access.certificates import new_authority

from .api import Json, Refused
from .stand_ins import StandIns

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
NAME = "review.example.com"
SECONDS = 60.0

Review = Callable[[Json], "list[Json] | str"]
"""A pod -> a JSON patch of it, or the words with which it is refused."""


@contextlib.contextmanager
def reviewed(stand_ins: StandIns, namespace: str, review: Review, folder: Path) -> Iterator[None]:
    """The server asks the webhook within the block. `folder` takes its certificate."""
    authority = new_authority("webhook")
    pair = authority.server("127.0.0.1", "localhost")
    file = folder / "webhook.pem"
    file.write_bytes(pair.certificate + pair.key)
    asked = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(review, asked))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"https://127.0.0.1:{server.server_address[1]}/"
        stand_ins.api.call("POST", WEBHOOKS, _configuration(namespace, address, authority.pair.certificate))
        try:
            _wait_until_asked(stand_ins, namespace, asked)
            yield
        finally:
            stand_ins.api.call("DELETE", f"{WEBHOOKS}/{NAME}")
    finally:
        server.shutdown()
        server.server_close()


def _configuration(namespace: str, address: str, authority: bytes) -> Json:
    entry = {
        "name": NAME,
        "clientConfig": {"url": address, "caBundle": b64encode(authority).decode()},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": NAME}, "webhooks": [entry]}


def _wait_until_asked(stand_ins: StandIns, namespace: str, asked: threading.Event) -> None:
    """The server takes a moment to know of a webhook."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks", "namespace": namespace}}
    body = {**pod, "spec": {"containers": [{"name": "asks", "image": "asks"}]}}
    give_up = time.monotonic() + SECONDS
    while not asked.wait(0.2):
        assert time.monotonic() < give_up, "the API server does not ask the webhook"
        with contextlib.suppress(Refused):
            stand_ins.api.call("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)


def _handler(review: Review, asked: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
            asked.set()
            pod = request["object"]
            verdict = review(pod) if pod["metadata"]["name"] != "asks" else []
            response: Json = {"uid": request["uid"], "allowed": not isinstance(verdict, str)}
            if isinstance(verdict, str):
                response["status"] = {"message": verdict}
            elif verdict:
                response |= {"patchType": "JSONPatch", "patch": b64encode(json.dumps(verdict).encode()).decode()}
            answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler
