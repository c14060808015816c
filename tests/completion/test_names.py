"""Names that are asked for: which of them are offered, and what comes of no answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import msgspec
import pytest

from kubectl_memdoctor.cluster.name_table import read_names
from kubectl_memdoctor.completion.names import SECONDS, Ask, ask, offer, patience
from kubectl_memdoctor.completion.protocol import NOTHING
from kubectl_memdoctor.completion.words import Question
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.flags import CommandLine, Named
from kubectl_memdoctor.rules import rules

LONG = 60.0


def pods(start: str = "", *taken: str) -> Question:
    return Question(Named.POD, start, CommandLine((), {}), taken)


def answering(*names: str) -> Ask:
    return lambda question, seconds: names


def offered(question: Question, ask: Ask) -> list[str]:
    return [word.text for word in offer(question, ask, LONG).words]


def test_names_that_go_on_are_offered_once_and_sorted_without_those_already_given() -> None:
    ask = answering("web-2", "web-1", "db-1", "web-2", "web-3")
    assert offered(pods("web", "web-3"), ask) == ["web-1", "web-2"]


def test_a_name_that_a_shell_would_run_is_not_offered() -> None:
    assert offered(pods(), answering("$(reboot)", "web-1", "\x1b[31m")) == ["web-1"]


def test_no_answer_is_no_name() -> None:
    def refused(question: Question, seconds: float) -> Iterable[str]:
        raise CouldNotLook("Error from server (Forbidden): ...")

    def broken_off(question: Question, seconds: float) -> Iterator[str]:
        yield "web-1"
        raise CouldNotLook("the connection was cut")

    for failing in (refused, broken_off):
        assert offer(pods(), failing, LONG) == NOTHING


def test_what_takes_too_long_is_left_behind() -> None:
    answer = threading.Event()

    def slow(question: Question, seconds: float) -> Iterator[str]:
        yield "web-1"
        answer.wait()

    assert offer(pods(), slow, 0.01) == NOTHING
    answer.set()


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5.0), ("0.5", 0.5), ("-1", 0.0), ("soon", SECONDS), ("", SECONDS)]
)
def test_how_long_is_waited(value: str, seconds: float) -> None:
    assert patience({"MEMDOCTOR_COMPLETION_SECONDS": value}) == seconds
    assert patience({}) == SECONDS


def test_all_rules_are_known_without_importing_them() -> None:
    assert list(ask(Question(Named.RULE, "", CommandLine((), {})), LONG)) == [rule.name for rule in rules()]


def test_the_pods_of_the_demo_are_offered() -> None:
    found = list(ask(Question(Named.DEMO_POD, "", CommandLine((), {})), LONG))
    assert "busybox-deploy-79798f5954-2qmls" in found
    assert len(found) == len(set(found))


def table(**changes: object) -> bytes:
    """As Kubernetes 1.37 answers with includeObject=None; the name need not come first."""
    body = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "7", "continue": "next", "remainingItemCount": 1},
        "columnDefinitions": [
            {"name": "Ready", "type": "string", "format": "", "description": "", "priority": 0},
            {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
        ],
        "rows": [{"cells": ["1/1", "web-1"], "object": None}, {"cells": ["0/1", "web-2"], "object": None}],
    }
    return msgspec.json.encode({**body, **changes})


def test_a_table_tells_names_and_where_to_go_on() -> None:
    assert read_names(table()) == (("web-1", "web-2"), "next")
    assert read_names(table(rows=[], metadata={})) == ((), "")
    assert read_names(table(rows=[{"cells": ["1/1"]}, {"cells": ["1/1", None]}, {"cells": ["1/1", "a"]}]))[0] == ("a",)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", table(kind="PodList"), table(columnDefinitions=[])])
def test_what_is_no_table_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_names(body)
