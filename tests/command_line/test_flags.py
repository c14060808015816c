"""The command line as pflag reads it, and the help that is printed from the same table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.commands import NAMES, command
from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import (
    ALL,
    CHUNK_SIZE,
    COLOR,
    CONNECTION,
    EVERY_FLAG,
    EVERYWHERE,
    FAIL_ON,
    FILENAME,
    OUTPUT,
    SELECTOR,
    CommandLine,
    Flag,
    Kind,
    parse,
    refuse_others,
)

Given = dict[str, Any]

TAKEN: list[tuple[list[str], tuple[str, ...], Given]] = [
    ([], (), {}),
    (["ns"], ("ns",), {}),
    (["ns", "shop", "billing"], ("ns", "shop", "billing"), {}),
    (["ns", "-A"], ("ns",), {"all_namespaces": True}),
    (["ns", "--all"], ("ns",), {"all_namespaces": True}),
    (["ns", "--all-namespaces"], ("ns",), {"all_namespaces": True}),
    (["ns", "--all=false"], ("ns",), {"all_namespaces": False}),
    (["ns", "--all-namespaces=T"], ("ns",), {"all_namespaces": True}),
    (["ns", "-A=false"], ("ns",), {"all_namespaces": False}),
    (["ns", "-A", "--all=0"], ("ns",), {"all_namespaces": False}),
    (["ns", "--strict", "true"], ("ns", "true"), {"strict": True}),
    (["ns", "-o", "json"], ("ns",), {"output": "json"}),
    (["ns", "-ojson"], ("ns",), {"output": "json"}),
    (["ns", "-o=json"], ("ns",), {"output": "json"}),
    (["ns", "--output=json"], ("ns",), {"output": "json"}),
    (["ns", "--output", "json", "-oyaml"], ("ns",), {"output": "yaml"}),
    (["ns", "-Ao", "json"], ("ns",), {"all_namespaces": True, "output": "json"}),
    (["ns", "-Aojson"], ("ns",), {"all_namespaces": True, "output": "json"}),
    (["ns", "-Ao=json"], ("ns",), {"all_namespaces": True, "output": "json"}),
    (["ns", "-Ah"], ("ns",), {"all_namespaces": True, "help": True}),
    (["-n", "shop", "pod", "web-1"], ("pod", "web-1"), {"namespace": "shop"}),
    (["pod", "-nshop", "web-1"], ("pod", "web-1"), {"namespace": "shop"}),
    (["pod", "web-1", "-n=shop", "web-2"], ("pod", "web-1", "web-2"), {"namespace": "shop"}),
    (["ns", "-f", "-"], ("ns",), {"filename": ["-"]}),
    (["ns", "-f", "a", "--filename=b", "-fc"], ("ns",), {"filename": ["a", "b", "c"]}),
    (["ns", "--as-group=a", "--as-group", "b"], ("ns",), {"as_group": ["a", "b"]}),
    (["pod", "-l", "app in (web, api)"], ("pod",), {"selector": "app in (web, api)"}),
    (["pod", "-lapp=web,!old"], ("pod",), {"selector": "app=web,!old"}),
    (["pod", "-l", "!old"], ("pod",), {"selector": "!old"}),
    (["ns", "--chunk-size", "0"], ("ns",), {"chunk_size": 0}),
    # An empty value is a value: a script's "$SELECTOR" that is not set must not swallow what follows.
    (["ns", "-l", "", "shop"], ("ns", "shop"), {"selector": ""}),
    (["ns", "-n", "", "-o", "json"], ("ns",), {"namespace": "", "output": "json"}),
    (["ns", "--output="], ("ns",), {"output": ""}),
    (["ns", ""], ("ns", ""), {}),
    # What follows a flag is its value, even if it looks like a flag.
    (["ns", "--token", "-abc"], ("ns",), {"token": "-abc"}),
    (["ns", "-n", "--all"], ("ns",), {"namespace": "--all"}),
    (["ns", "-"], ("ns", "-"), {}),
    (["pod", "--", "--all", "-x"], ("pod", "--all", "-x"), {}),
    (["pod", "-n", "a", "--", "--", "y"], ("pod", "--", "y"), {"namespace": "a"}),
    (["pod", "--server=http://h/?a=b"], ("pod",), {"server": "http://h/?a=b"}),
]


@pytest.mark.parametrize(("arguments", "words", "given"), TAKEN, ids=lambda value: " ".join(map(str, value)) or "none")
def test_what_is_taken(arguments: list[str], words: tuple[str, ...], given: Given) -> None:
    line = parse(arguments)
    assert line.words == words
    assert dict(line.given) == given


REFUSED = [
    (["ns", "--nope"], "unknown flag: --nope"),
    (["ns", "--nope=3"], "unknown flag: --nope"),
    (["ns", "--al"], "unknown flag: --al"),
    (["ns", "-x"], "unknown shorthand flag: 'x' in -x"),
    (["ns", "-Ax"], "unknown shorthand flag: 'x' in -x"),
    (["ns", "-all"], "unknown shorthand flag: 'a' in -all"),
    (["ns", "-1"], "unknown shorthand flag: '1' in -1"),
    (["ns", "---all"], "bad flag syntax: ---all"),
    (["ns", "--=x"], "bad flag syntax: --=x"),
    (["ns", "-n"], "flag needs an argument: 'n' in -n"),
    (["ns", "-An"], "flag needs an argument: 'n' in -n"),
    (["ns", "--namespace"], "flag needs an argument: --namespace"),
    (
        ["ns", "-o", "xml"],
        (
            'unable to match a printer suitable for the output format "xml",'
            " allowed formats are: table,wide,page,json,jsonl,yaml,name,prometheus"
        ),
    ),
    (["ns", "--color=red"], 'invalid argument "red" for "--color" flag: must be auto, always or never'),
    (
        ["ns", "--fail-on", "bad"],
        'invalid argument "bad" for "--fail-on" flag: must be critical, warning, info or never',
    ),
    (["ns", "--all=maybe"], 'invalid argument "maybe" for "--all-namespaces" flag: must be true or false'),
    (["ns", "--all="], 'invalid argument "" for "--all-namespaces" flag: must be true or false'),
    *(
        (
            ["ns", f"--chunk-size={text}"],
            f'invalid argument "{text}" for "--chunk-size" flag: must be a whole number, 0 or more',
        )
        for text in ("", "-1", "1e3", "5.0", "٣", "9" * 10)
    ),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=lambda value: str(value))
def test_what_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    assert str(caught.value) == words


MIXTURES = [
    (["ns", "shop", "--all"], "give namespaces or --all, not both"),
    (["ns", "shop", "-n", "billing"], "give namespaces as arguments or with -n, not both"),
    (["pod", "web-1", "-l", "app=web"], "name cannot be provided when a selector is specified"),
    (["pod", "web-1", "--field-selector", "a=b"], "name cannot be provided when a selector is specified"),
    (["pod"], "you must name a pod, TYPE/NAME of what pods come from, or give -l"),
    (["pod", "-l", ""], "you must name a pod, TYPE/NAME of what pods come from, or give -l"),
    (["ns", "--minimum=lots"], 'invalid argument "lots" for "--minimum" flag: '),
    (["ns", "--minimum=0"], 'invalid argument "0" for "--minimum" flag: must be more than 0'),
    (["ns", "--minimum=-4Mi"], 'invalid argument "-4Mi" for "--minimum" flag: must be more than 0'),
    (["pod", "--pods", "x"], "unknown flag: --pods (for kubectl memdoctor pod)"),
    (["version", "--all"], "unknown flag: --all-namespaces (for kubectl memdoctor version)"),
    (["explain", "a", "b"], "explain takes one rule"),
    (["explain", "sandbox-memory-limit"], 'there is no rule "sandbox-memory-limit"; did you mean '),
    (["pods"], 'unknown command "pods" for "kubectl memdoctor"; did you mean pod?'),
    (["quux"], 'unknown command "quux" for "kubectl memdoctor"; the commands are pod, ns, node, logs, calibrate, '),
    (["version", "extra"], "version takes no arguments"),
    (["options", "extra"], "options takes no arguments"),
    (["ns", ""], "an argument is empty: is a variable not set?"),
    (["pod", "web-1", ""], "an argument is empty: is a variable not set?"),
]


@pytest.mark.parametrize(("arguments", "words"), MIXTURES, ids=lambda value: str(value))
def test_what_does_not_go_together(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith(f"error: {words}")
    assert second == "See 'kubectl memdoctor --help' for usage."


def test_values_come_in_their_types() -> None:
    line = parse(["ns", "-A", "--chunk-size=7", "-f", "x", "-l", "a=b"])
    assert line.flag(ALL) is True
    assert line.number(CHUNK_SIZE) == 7
    assert line.values(FILENAME) == ("x",)
    assert line.text(SELECTOR) == "a=b"


def test_what_is_not_given_is_the_printed_default() -> None:
    line = parse(["ns"])
    assert line.flag(ALL) is False
    assert line.number(CHUNK_SIZE) == 500
    assert line.values(FILENAME) == ()
    assert line.text(FAIL_ON) == "warning"
    assert line.text(COLOR) == "auto"
    assert line.text(OUTPUT) == ""


def test_connection_holds_what_was_given_by_the_names_of_its_fields() -> None:
    line = parse(["ns", "--as=jane", "--as-group=a", "--as-group=b", "-n", "shop", "--insecure-skip-tls-verify", "-A"])
    assert line.connection() == {
        "as_user": "jane",
        "as_group": ("a", "b"),
        "namespace": "shop",
        "insecure_skip_tls_verify": True,
    }


def test_every_flag_of_the_connection_is_one_that_the_configuration_takes() -> None:
    from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags

    values = {Kind.FLAG: [], Kind.TEXT: ["1"], Kind.NUMBER: ["1"], Kind.LIST: ["1"]}
    for flag in CONNECTION:
        line = parse(["ns", f"--{flag.name}", *values[flag.kind]])
        assert ConnectionFlags(**line.connection()) != ConnectionFlags()


@pytest.mark.parametrize("flag", EVERY_FLAG, ids=lambda flag: flag.name)
def test_every_flag_says_what_it_is_for(flag: Flag) -> None:
    assert len(flag.help.split()) >= 3
    assert flag.help.endswith(".") or flag.help.endswith(")")
    assert all(choice in flag.help for choice in flag.choices)
    assert flag.default in ("", *flag.choices) or not flag.choices


def test_no_two_flags_share_a_spelling() -> None:
    spellings = [spelling for flag in EVERY_FLAG for spelling in flag.spellings()]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("name", NAMES)
def test_a_command_takes_its_own_flags_and_no_other(name: str) -> None:
    allowed = command(name).page.flags
    taken = {entry.name for entry in (*allowed, *EVERYWHERE)}
    for flag in EVERY_FLAG:
        line = CommandLine((), {flag.field: True})
        if flag.name in taken:
            refuse_others(line, allowed, name)
            continue
        with pytest.raises(UsageError, match=rf"^unknown flag: --{flag.name} \(for kubectl memdoctor {name}\)$"):
            refuse_others(line, allowed, name)


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed([name, "--help"], capsys)
    assert "\nExamples:\n  # " in out
    usage = out.partition("\nUsage:\n")[2].splitlines()[0]
    assert usage.startswith(f"  kubectl memdoctor {name}")
    for flag in command(name).page.flags:
        assert (f"--{flag.name}=" in out) == (flag not in CONNECTION)
        assert not flag.short or flag in CONNECTION or f"-{flag.short}, --{flag.name}=" in out
    assert max(len(row) for row in out.splitlines() if not row.startswith("  kubectl ")) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_help_is_the_same_wherever_it_is_asked_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed([name, "--help"], capsys)
    assert printed([name, "-h"], capsys) == out
    assert printed(["--help", name], capsys) == out
    assert printed(["help", name], capsys) == out


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_help_are_commands_that_are_taken(name: str) -> None:
    examples = re.findall(
        r"^ +kubectl memdoctor (.+)$", command(name).page.text.partition("Examples:")[2], re.MULTILINE
    )
    assert examples
    for example in examples:
        line = parse(example.split())
        refuse_others(line, command(line.words[0]).page.flags, line.words[0])


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]], ids=str)
def test_the_overview_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(arguments, capsys)
    for name in NAMES:
        assert re.search(rf"^  {name} +[A-Z]", out, re.MULTILINE)
    assert "kubectl memdoctor COMMAND --help" in out
    assert max(map(len, out.splitlines())) <= 80


def test_options_lists_every_flag_of_the_connection(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(["options"], capsys)
    for flag in CONNECTION:
        assert f"--{flag.name}=" in out


def test_the_version_is_printed_by_command_and_by_flag(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(["version"], capsys)
    assert re.fullmatch(r"kubectl-memdoctor v\d+\.\d+\.\d+\S*\n", out)
    assert printed(["--version"], capsys) == out
