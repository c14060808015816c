from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.log_listing import log_files


def listing(*names: str, prefix: str = "") -> bytes:
    links = "".join(f'<a href="{prefix}{name}">{name}</a>\n' for name in names)
    return f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{links}</pre>\n'.encode()


def names(page: bytes) -> list[str]:
    return [file.name for file in log_files(page)]


@pytest.mark.parametrize("prefix", ["", "/api/v1/nodes/worker-1/proxy/logs/"])
def test_the_logs_that_may_tell_most_telling_first(prefix: str) -> None:
    """An API server may rewrite links, so that they lead through it."""
    there = ["apt/", "auth.log", "containers/", "dmesg", "kern.log", "kubelet.log", "pods/", "syslog", "wtmp"]
    assert names(listing(*there, prefix=prefix)) == ["kern.log", "syslog", "kubelet.log", "dmesg"]


def test_whose_words_they_hold() -> None:
    there = listing("kern.log.2.gz", "messages", "kubelet.log", "containerd.log", "crio.log", "docker.log")
    assert {file.name: file.writer for file in log_files(there)} == {
        "kern.log.2.gz": Writer.KERNEL,
        "messages": Writer.UNKNOWN,
        "kubelet.log": Writer.KUBELET,
        "containerd.log": Writer.CONTAINERD,
        "crio.log": Writer.CRIO,
        "docker.log": Writer.DOCKER,
    }


@pytest.mark.parametrize(
    "parts",
    [
        ["syslog", "syslog.1", "syslog.2.gz", "syslog.3.gz", "syslog.4.gz"],
        ["messages", "messages-20261122", "messages-20261115.gz", "messages-20261108.gz"],
        ["kern.log.1", "kern.log.2.gz", "kern.log.10.gz"],
        ["messages", "messages-20261122.xz", "messages-20261115.bz2"],
    ],
)
def test_newest_parts_come_first(parts: list[str]) -> None:
    assert names(listing(*sorted(parts, reverse=True))) == parts


def test_not_more_than_some_parts_of_each() -> None:
    there = ["syslog", *(f"syslog.{number}.gz" for number in range(1, 30)), "kern.log"]
    assert names(listing(*there)) == ["kern.log", "syslog", "syslog.1.gz", "syslog.2.gz", "syslog.3.gz", "syslog.4.gz"]


@pytest.mark.parametrize(
    "name", ["kern.log/", "kern.log.bak", "kern.log.1.zip", "xkern.log", "..", "../../secrets", "kern.log?x", "%2e%2e"]
)
def test_other_names_are_never_asked_for(name: str) -> None:
    assert names(listing(name)) == []


def test_a_link_leads_nowhere_else() -> None:
    assert names(listing("../../../../api/v1/namespaces/default/kern.log")) == ["kern.log"]


@given(st.binary())
def test_any_page(page: bytes) -> None:
    log_files(page + b'<a href="' + page + b'">')
