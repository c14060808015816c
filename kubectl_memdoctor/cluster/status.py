"""What the API server says when it does not give what was asked for, in kubectl's words.

https://github.com/kubernetes/apimachinery/blob/v0.37.0/pkg/api/errors/errors.go, NewGenericServerResponse
https://github.com/kubernetes/kubectl/blob/v0.37.0/pkg/cmd/util/helpers.go, StandardErrorMessage
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from kubectl_memdoctor.cluster import protobuf
from kubectl_memdoctor.cluster.source import AccessError, NotFound, Unreadable
from kubectl_memdoctor.cluster.transport import Answer
from kubectl_memdoctor.objects import Resource, Status

QUOTED_BYTES = 200
"""How much of an answer that is not Kubernetes' own is quoted."""


_STATUS_DECODER = msgspec.json.Decoder(Status)
"""Built here, not by the threads that need it: msgspec does not build the same one in two threads at once."""

_UNNAMED: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", ""),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", "the server was unable to respond with a content type that the client supports"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}


def read_status(answer: Answer) -> Status | None:
    """The Status object in an answer; None when the body is something else."""
    try:
        if answer.body.startswith(protobuf.MAGIC):
            return cast(Status, protobuf.open_struct(answer.body, "Status", Status))
        status = _STATUS_DECODER.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, protobuf.DecodeError):
        return None
    return status if status.kind == "Status" else None


def is_expired(answer: Answer) -> bool:
    """A continue token that etcd's compaction has outrun."""
    return answer.status == 410


def failure(
    answer: Answer, resource: Resource[Any], name: str | None, selectors: tuple[str, str] = ("", ""), verb: str = "get"
) -> AccessError:
    """The error for an answer of 400 and more. `name` is None for a list; `selectors`: its label and field selector."""
    status = read_status(answer)
    known = status is not None and bool(status.message)
    if status is None or not known:
        status = _unnamed(answer, resource, name, verb)
    message = one_line(status.message)
    if answer.status == 401:
        return AccessError(unauthorized(message))
    if name is None and answer.status in (400, 404):
        message = _about_list(message, resource, selectors)
    line = f"Error from server ({status.reason}): {message}" if status.reason else f"Error from server: {message}"
    if answer.status == 404 and name is not None and status.details is not None and status.details.name == name:
        return NotFound(line)
    if answer.status == 403:
        return Unreadable(line, resource=resource.group_resource, reason=f"forbidden: {one_line(status.message)}")
    if answer.status == 404:
        return Unreadable(line, resource=resource.group_resource, reason=f"not served: {one_line(status.message)}")
    if answer.status >= 500:
        return Unreadable(line, resource=resource.group_resource, reason=f"failed: {message}")
    return AccessError(line)


def unauthorized(message: str) -> str:
    return f"error: You must be logged in to the server ({one_line(message) or 'Unauthorized'})"


def foreign(answer: Answer, server: str) -> AccessError:
    """The error for a 200 (or a redirect) that no API server sends: a login page, a proxy's own words."""
    stands_before = "a proxy or a login page stands before the API server, or the server's address is wrong"
    location = answer.headers.get("Location", "")
    if 300 <= answer.status < 400 and location:
        target = one_line(location.partition("?")[0])
        return AccessError(f"error: {server} redirects to {target} instead of answering: {stands_before}")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip() or "an answer without a content type"
    if _is_html(answer):
        return AccessError(f"error: {server} answered with HTML instead of JSON: {stands_before}")
    return AccessError(f"error: {server} did not answer with a Kubernetes list or object ({kind}): {stands_before}")


def one_line(text: str) -> str:
    """A server's words without line breaks and control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _unnamed(answer: Answer, resource: Resource[Any], name: str | None, verb: str) -> Status:
    said = _quoted(answer)
    reason, message = _UNNAMED.get(answer.status, ("", ""))
    if not reason and answer.status >= 500:
        reason, message = (
            "InternalError",
            f'an error on the server ("{said}") has prevented the request from succeeding',
        )
    elif not reason:
        message = f"the server responded with the status code {answer.status} but did not return more information"
    asked = f"{verb} {resource.group_resource}" + (f" {name}" if name else "")
    return Status(kind="Status", reason=reason, message=f"{message or said} ({asked})", code=answer.status)


def _quoted(answer: Answer) -> str:
    if _is_html(answer):
        return "an HTML page"
    return one_line(answer.body[:QUOTED_BYTES].decode(errors="replace")) or "unknown"


def _is_html(answer: Answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.body[:20].lstrip()[:1] == b"<"


def _about_list(message: str, resource: Resource[Any], selectors: tuple[str, str]) -> str:
    """https://github.com/kubernetes/cli-runtime/blob/v0.37.0/pkg/resource/helper.go, EnhanceListError"""
    group_version = resource.api_version if "/" in resource.api_version else f"/{resource.api_version}"
    subject = f'"{group_version}, Resource={resource.name}"'
    if not any(selectors):
        return f"Unable to list {subject}: {message}"
    label_selector, field_selector = selectors
    return (
        f'Unable to find {subject} that match label selector "{label_selector}",'
        f' field selector "{field_selector}": {message}'
    )
