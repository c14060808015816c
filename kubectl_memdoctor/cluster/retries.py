"""When a request is sent once more: how long, how often, and after which answers."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable

from msgspec import Struct

from kubectl_memdoctor.cluster.transport import Answer, ConnectionCut

ATTEMPTS = 11
"""One and ten retries, as maxRetries in https://github.com/kubernetes/client-go/blob/v0.37.0/rest/request.go"""
UNASKED_ATTEMPTS = 5
"""Of an answer that does not itself ask for a retry, or of a connection that breaks."""
RETRY_SECONDS = 60.0
"""How long one request is tried again when there is no --request-timeout."""
FIRST_WAIT_SECONDS = 0.2
RETRIED = frozenset({429, 500, 502, 503, 504})


class Answered(Struct, frozen=True):
    """`attempts` is how often it was sent: more than once, and the server may have had it before."""

    answer: Answer
    attempts: int


def answered(
    attempt: Callable[[float | None], Answer],
    limit_seconds: float,
    sleep: Callable[[float], None],
    unasked_attempts: int = UNASKED_ATTEMPTS,
) -> Answered:
    """What `attempt` gets, tried again while that may help. It is called with its time.monotonic() deadline.

    `limit_seconds` is for all attempts together, 0 for none; `unasked_attempts` as UNASKED_ATTEMPTS. Raises AccessError
    when there is no answer at all.
    """
    started = time.monotonic()
    deadline = started + limit_seconds if limit_seconds else None
    give_up = started + (limit_seconds or RETRY_SECONDS)
    for number in itertools.count(1):
        try:
            answer = attempt(deadline)
        except ConnectionCut:
            wait = _backoff(number) if number < unasked_attempts else None
            if wait is None or time.monotonic() + wait > give_up:
                raise
        else:
            wait = _wait(answer, number, unasked_attempts)
            if wait is None or time.monotonic() + wait > give_up:
                return Answered(answer, number)
        sleep(wait)
    raise AssertionError("unreachable")


def _wait(answer: Answer, attempt: int, unasked_attempts: int) -> float | None:
    """Seconds until the next try; None when this answer is the last.

    https://github.com/kubernetes/client-go/blob/v0.37.0/rest/with_retry.go, checkWait
    """
    if answer.status != 429 and answer.status < 500:
        return None
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return int(asked) + random.random() * FIRST_WAIT_SECONDS if attempt < ATTEMPTS else None
    if answer.status in RETRIED and attempt < unasked_attempts:
        return _backoff(attempt)
    return None


def _backoff(attempt: int) -> float:
    """Twice as long each time, and never the same for two threads."""
    return FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1) * (0.5 + random.random())
