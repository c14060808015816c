"""The TAB key in bash, zsh and fish, with the completion that kubectl prints for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from debian_packages import Requirement, demand

from kubectl_memdoctor.commands import NAMES

from .memdoctor import Shell
from .seeded import Seeded
from .terminal import Terminal, terminal
from .test_completion import PATIENT

REQUIREMENTS = (
    Requirement("bash-completion", "/usr/share/bash-completion/bash_completion", "kubectl's completion in bash"),
    Requirement("fish", "fish", "the TAB key in it"),
    Requirement("tmux", "tmux", "a terminal to type in"),
    Requirement("zsh", "zsh", "the TAB key in it"),
)
PROMPT = "prompt>"


@dataclass(frozen=True, slots=True)
class Interactive:
    """A shell and how kubectl's completion is set up in it, as docs/completion.md says."""

    command: tuple[str, ...]
    file: str
    setup: str


SHELLS = {
    "bash": Interactive(
        ("bash", "--noprofile", "-i"),
        ".bashrc",
        f"PS1='{PROMPT} '\n. /usr/share/bash-completion/bash_completion\n. <(kubectl completion bash)\n",
    ),
    "zsh": Interactive(
        ("zsh", "-i"),
        ".zshrc",
        f"PROMPT='{PROMPT} '\nautoload -Uz compinit\ncompinit -u\n. <(kubectl completion zsh)\n",
    ),
    "fish": Interactive(
        ("fish", "-i"),
        ".config/fish/config.fish",
        f"set -g fish_greeting\nfunction fish_prompt\n    echo -n '{PROMPT} '\nend\nkubectl completion fish | source\n",
    ),
}


@pytest.fixture(scope="module")
def installed() -> None:
    demand(REQUIREMENTS)


@pytest.fixture(scope="module", params=SHELLS)
def opened(
    request: pytest.FixtureRequest,
    shell: Shell,
    seeded: Seeded,
    installed: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Terminal]:
    interactive, home = SHELLS[request.param], tmp_path_factory.mktemp(request.param)
    setup = home / interactive.file
    setup.parent.mkdir(parents=True, exist_ok=True)
    setup.write_text(interactive.setup)
    (home / "dump.json").touch()
    environ = {**shell.environ("admin", "default"), **PATIENT, "HOME": str(home)}
    with terminal(home, interactive.command, environ) as started:
        yield started


@pytest.fixture
def typing(opened: Terminal) -> Terminal:
    """An empty screen with a prompt."""
    opened.wait_for(PROMPT)
    opened.press("C-u", "C-l")
    opened.wait_until(lambda screen: screen.strip() == PROMPT)
    return opened


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("cali", "calibrate"),
        ("pod --field-s", "pod --field-selector"),
        ("explain sandbox-m", "explain sandbox-memory-limit-too-small"),
        ("ns -o prom", "ns -o prometheus"),
        ("ns --output=prom", "ns --output=prometheus"),
        ("ns --context te", "ns --context test"),
        ("ns sho", "ns shop"),
        ("pod --namespace=sho", "pod --namespace=shop"),
        ("pod -n shop cac", "pod -n shop cache-6c5b8f7d4c-x2x7k"),
        ("pod -n owned deploy/de", "pod -n owned deploy/deployed"),
        ("ns -f du", "ns -f dump.json"),
    ],
)
def test_one_that_fits_is_completed(typing: Terminal, typed: str, completed: str) -> None:
    typing.type(f"kubectl memdoctor {typed}")
    typing.press("Tab")
    # fish shows what would fit while one types: what is typed after it tells what has really come to stand there.
    typing.type("END")
    typing.wait_for(f"{PROMPT} kubectl memdoctor {completed} END")


def test_all_that_fit_are_listed(typing: Terminal) -> None:
    typing.type("kubectl memdoctor ")
    typing.press("Tab", "Tab")
    screen = typing.wait_for(*NAMES, "Say why memory keeps pods from starting")
    assert "dump.json" not in screen
