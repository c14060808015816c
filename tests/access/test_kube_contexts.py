"""Which contexts are asked, and which of them would only say the same again."""

from __future__ import annotations

import pytest

from kubectl_memdoctor.cluster.kube_contexts import distinct, named
from kubectl_memdoctor.cluster.kubeconfig import EMPTY, Cluster, Context, Kubeconfig
from kubectl_memdoctor.cluster.source import AccessError

CLUSTERS = {
    "eu": Cluster(server="https://eu:6443"),
    "eu-again": Cluster(server="https://eu:6443/"),
    "eu-proxied": Cluster(server="https://eu:6443", proxy_url="http://proxy"),
    "us": Cluster(server="https://us:6443"),
}


def config(**contexts: Context) -> Kubeconfig:
    return Kubeconfig(CLUSTERS, {}, contexts, "")


def test_named_contexts_keep_their_order_and_come_once() -> None:
    known = config(a=Context("eu", "me"), b=Context("us", "me"))
    assert named(known, ["b", "a", "b"]) == ("b", "a")


def test_named_contexts_are_all_asked_even_where_they_are_the_same() -> None:
    known = config(a=Context("eu", "me"), b=Context("eu", "me"))
    assert named(known, ["a", "b"]) == ("a", "b")


def test_contexts_that_do_not_exist() -> None:
    with pytest.raises(AccessError, match=r'^error: context "x" does not exist\nerror: context "y" does not exist$'):
        named(config(a=Context("eu", "me")), ["x", "a", "y"])


@pytest.mark.parametrize(
    ("other", "by_namespace", "is_same"),
    [
        (Context("eu", "me", "shop"), False, True),
        (Context("eu", "me", "shop"), True, True),
        (Context("eu", "me", "billing"), False, True),
        (Context("eu", "me", "billing"), True, False),
        (Context("eu-again", "me", "shop"), False, True),
        (Context("eu", "you", "shop"), False, False),
        (Context("us", "me", "shop"), False, False),
        (Context("eu-proxied", "me", "shop"), False, False),
        (Context("gone", "me", "shop"), False, False),
    ],
    ids=str,
)
def test_the_same_server_and_user_are_asked_once(other: Context, by_namespace: bool, is_same: bool) -> None:
    found = distinct(config(first=Context("eu", "me", "shop"), other=other), by_namespace=by_namespace)
    assert found.names == (("first",) if is_same else ("first", "other"))
    assert found.same == ({"other": "first"} if is_same else {})


def test_no_namespace_is_the_default_one() -> None:
    contexts = config(a=Context("eu", "me"), b=Context("eu", "me", "default"))
    assert distinct(contexts, by_namespace=True).names == ("a",)


def test_clusters_that_are_not_defined_are_told_apart() -> None:
    assert distinct(config(a=Context("x", "me"), b=Context("y", "me")), by_namespace=False).names == ("a", "b")


def test_there_is_none() -> None:
    with pytest.raises(AccessError, match="no contexts"):
        distinct(EMPTY, by_namespace=False)
