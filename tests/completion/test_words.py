"""What may stand at the end of a line, by flags and commands alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.commands import NAMES, command
from kubectl_memdoctor.completion.protocol import NOTHING, Directive, Offer
from kubectl_memdoctor.completion.words import OF_CLUSTER, Commands, Question, what_fits
from kubectl_memdoctor.flags import CONNECTION, EVERY_FLAG, EVERYWHERE, Flag, Kind, Named
from kubectl_memdoctor.help_text import Page

COMMANDS = Commands(NAMES, lambda name: command(name).page)
PAGES = {name: command(name).page for name in NAMES}
FLAGS_OF = [(name, flag) for name, page in PAGES.items() for flag in (*page.flags, *EVERYWHERE)]
FILES = Offer(directive=Directive.FILES)


def fitting(line: str) -> Offer | Question:
    """What fits at the end of a line; a closing space begins a new word."""
    *before, start = line.split(" ")
    return what_fits(before, start, COMMANDS)


def offered(line: str) -> list[str]:
    found = fitting(line)
    assert isinstance(found, Offer), found
    return [word.text for word in found.words]


def ids(entry: object) -> str:
    return entry.name if isinstance(entry, Flag) else str(entry)


def test_commands_are_offered_as_help_lists_them() -> None:
    assert offered("") == list(NAMES)
    found = fitting("")
    assert isinstance(found, Offer)
    assert [word.description for word in found.words] == [page.summary.rstrip(".") for page in PAGES.values()]
    assert found.directive is Directive.NO_FILES


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_offered_by_its_first_letters(name: str) -> None:
    assert name in offered(name[:2])
    assert name in offered(f"-n shop {name[:2]}")
    assert name in offered(f"help {name[:2]}")


@pytest.mark.parametrize(("name", "flag"), FLAGS_OF, ids=ids)
def test_every_flag_of_a_command_is_offered(name: str, flag: Flag) -> None:
    for spelling in flag.spellings():
        assert spelling in offered(f"{name} -")
        assert spelling in offered(f"{name} {spelling[:-1]}" if len(spelling) > 2 else f"{name} -")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_flag_is_offered(name: str) -> None:
    known = {spelling for flag in (*PAGES[name].flags, *EVERYWHERE) for spelling in flag.spellings()}
    assert set(offered(f"{name} -")) == known
    assert set(offered(f"{name} --")) == {spelling for spelling in known if spelling.startswith("--")}


def test_flags_may_stand_before_the_command() -> None:
    assert offered("--context") == ["--context"]
    assert set(offered("--")) == {f"--{flag.name}" for flag in (*CONNECTION, *EVERYWHERE)}


@pytest.mark.parametrize(("name", "flag"), FLAGS_OF, ids=ids)
def test_what_is_offered_as_a_value(name: str, flag: Flag) -> None:
    """The same behind a space and behind an equals sign."""
    separate = f"{name} --{flag.name} "
    attached = f"{name} --{flag.name}="
    lines = [attached] if flag.kind is Kind.FLAG or flag.alone else [separate, attached]
    if flag.short and flag.kind is not Kind.FLAG:
        lines += [f"{name} -{flag.short} ", f"{name} -{flag.short}="]
    for line in lines:
        found = fitting(line)
        if flag.names is Named.FILE:
            assert found == FILES
        elif flag.names is Named.FOLDER:
            assert found == Offer(directive=Directive.FOLDERS)
        elif flag.names is not None:
            assert isinstance(found, Question)
            assert (found.names, found.start) == (flag.names, "")
        elif flag.kind is Kind.FLAG:
            assert offered(line) == ["true", "false"]
        else:
            assert offered(line) == list(flag.choices)
            assert isinstance(found, Offer)
            assert found.directive is Directive.NO_FILES


@pytest.mark.parametrize(
    "flag", [flag for flag in EVERY_FLAG if "file" in flag.name or "Path to" in flag.help], ids=ids
)
def test_a_flag_whose_value_is_a_file_says_so(flag: Flag) -> None:
    assert flag.names is Named.FILE


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
def test_a_command_whose_usage_names_arguments_says_what_they_are(page: Page) -> None:
    rest = page.usage.removeprefix(page.name).removeprefix(" ").removeprefix("(").removeprefix("[")
    takes = rest != "" and not rest.startswith(("-", "options"))
    assert takes == bool(page.arguments.names or page.arguments.choices)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pod -o j", ["json", "jsonl"]),
        ("pod -o=j", ["json", "jsonl"]),
        ("pod --output=wi", ["wide"]),
        ("pod -Ao ta", ["table"]),
        ("calibrate -o ", ["json", "yaml"]),
        ("calibrate --dry-run=s", ["server"]),
        ("calibrate --dry-run s", []),
        ("ns --color a", ["auto", "always"]),
        ("ns --fail-on n", ["never"]),
        ("ns --strict=t", ["true"]),
        ("ns --strict --stri", []),
        ("ns -A --all-n", []),
        ("ns --all --all-n", []),
        ("ns -f a --file", ["--filename"]),
        ("completion ", ["install", "print"]),
        ("completion p", ["print"]),
        ("completion print ", []),
        ("pod --minimum ", []),
        ("options ", []),
        ("version ", []),
        ("calibrate ", []),
        ("help pod ", []),
        ("explain pod-oom-killed ", []),
        ("ns --all ", []),
        ("ns -n shop ", []),
        ("pod -l app=web ", []),
        ("pod --field-selector x=y ", []),
        ("node -l pool=a ", []),
        ("pod -f dump.json ", []),
        ("pod -f dump.json -n ", []),
        ("ns --contexts a,b ", []),
        ("ns --all-contexts -n ", []),
        ("unknown ", []),
        ("unknown --", []),
        ("pod --unknown ", []),
        ("pod --unknown=", []),
        ("pod -o rubbish ", []),
        ("explain -n ", []),
        ("pod -- ", []),
        ("pod -- --", []),
        ("pod --=", []),
        ("pod -=", []),
    ],
)
def test_lines(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


@pytest.mark.parametrize(
    "line",
    ["logs ", "logs a.txt ", "logs a", "pod -f ", "pod --node-log=", "pod -f a -f ", "node --kubeconfig ", "ns -f=a"],
)
def test_files_are_left_to_the_shell(line: str) -> None:
    assert fitting(line) == FILES


@pytest.mark.parametrize(
    ("line", "names", "start", "taken"),
    [
        ("pod ", Named.POD, "", ()),
        ("pod web", Named.POD, "web", ()),
        ("pod web-1 web-2 we", Named.POD, "we", ("web-1", "web-2")),
        ("pod deploy/w", Named.POD, "deploy/w", ()),
        ("-n shop pod ", Named.POD, "", ()),
        ("pod -n shop -A ", Named.POD, "", ()),
        ("pod -n sh", Named.NAMESPACE, "sh", ()),
        ("pod --namespace=sh", Named.NAMESPACE, "sh", ()),
        ("-n ", Named.NAMESPACE, "", ()),
        ("ns ", Named.NAMESPACE, "", ()),
        ("ns shop b", Named.NAMESPACE, "b", ("shop",)),
        ("node w", Named.NODE, "w", ()),
        ("calibrate --node a --node ", Named.NODE, "", ("a",)),
        ("calibrate --runtime-class=", Named.RUNTIME_CLASS, "", ()),
        ("pod --context ", Named.CONTEXT, "", ()),
        ("ns --contexts a --contexts ", Named.CONTEXT, "", ("a",)),
        ("--context=k", Named.CONTEXT, "k", ()),
        ("ns --cluster ", Named.CLUSTER, "", ()),
        ("ns --user ", Named.USER, "", ()),
        ("explain pod", Named.RULE, "pod", ()),
        ("demo ", Named.DEMO_POD, "", ()),
        ("pod -f dump.json --context ", Named.CONTEXT, "", ()),
    ],
)
def test_what_is_asked_for(line: str, names: Named, start: str, taken: tuple[str, ...]) -> None:
    found = fitting(line)
    assert isinstance(found, Question)
    assert (found.names, found.start, tuple(found.taken)) == (names, start, taken)


def test_a_question_carries_the_flags_of_the_line() -> None:
    for line in ("--context prod --as jane pod -n shop ", "pod -n shop --as=jane --context=prod web-1 "):
        found = fitting(line)
        assert isinstance(found, Question)
        assert found.line.connection() == {"context": "prod", "as_user": "jane", "namespace": "shop"}
    found = fitting("pod --context prod -n ")
    assert isinstance(found, Question)
    assert found.line.connection() == {"context": "prod"}


def test_nothing_is_asked_of_a_cluster_for_a_recording() -> None:
    for flag in (flag for flag in EVERY_FLAG if flag.names in OF_CLUSTER):
        for name in (name for name, page in PAGES.items() if flag in page.flags):
            assert fitting(f"{name} -f dump.json --{flag.name} ") == NOTHING


WORDS = st.one_of(
    st.sampled_from([*NAMES, "", "-", "--", "-n", "-f", "-o", "=", "help"]),
    st.sampled_from([spelling for flag in EVERY_FLAG for spelling in flag.spellings()]),
    st.text(max_size=8),
)


@given(st.lists(WORDS, max_size=6), WORDS)
def test_any_line_is_answered(before: list[str], start: str) -> None:
    """Whatever is offered goes on with what is typed, or with what stands behind its equals sign."""
    found = what_fits(before, start, COMMANDS)
    if isinstance(found, Offer):
        assert all(word.text.startswith((start, start.partition("=")[2])) for word in found.words)
