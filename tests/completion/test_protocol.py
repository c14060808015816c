"""How kubectl and the shells behind it are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.completion.protocol import NOTHING, Directive, Offer, Word, lines, plain


def test_a_word_and_its_description_have_a_tab_between_and_the_directive_comes_last() -> None:
    offer = Offer((Word("pod", "Say why"), Word("json")))
    assert list(lines(offer)) == ["pod\tSay why", "json", ":4"]
    assert list(lines(NOTHING)) == [":4"]
    assert list(lines(Offer(directive=Directive.FILES))) == [":0"]
    assert list(lines(Offer(directive=Directive.FOLDERS))) == [":16"]


@pytest.mark.parametrize(
    "name",
    [
        "web-5d9c7b9b8-x7k2p",
        "worker-1.example.com",
        "system:node",
        "gke_project_zone_name",
        "arn:aws:eks:eu-west-1:1234:cluster/shop",
        "deploy/web",
        "jane@prod",
    ],
)
def test_names_as_they_are(name: str) -> None:
    assert list(plain([name])) == [name]


@pytest.mark.parametrize(
    "name",
    ["", "$(touch x)", "`touch x`", "a b", "a\tb", "a\nb", "\x1b[2J", "a;b", "a'b", 'a"b', "a\\b", "~root", "é", "*"],
)
def test_what_a_shell_or_a_terminal_might_obey_is_not_offered(name: str) -> None:
    assert list(plain([name, "web"])) == ["web"]


@given(st.text())
def test_no_name_makes_a_line_of_its_own(name: str) -> None:
    assert len(list(lines(Offer(tuple(map(Word, plain([name]))))))) <= 2
    assert "\n" not in "".join(lines(Offer((Word("a", name),))))
