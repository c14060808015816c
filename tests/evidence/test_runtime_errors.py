"""What the words of kubelets and runtimes prove: a table from the field, and what must hold for texts in no table."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from kubectl_memdoctor.evidence.error_layers import READ_FIRST
from kubectl_memdoctor.evidence.runtime_causes import CAUSES, LOW_LIMIT, UNKNOWN
from kubectl_memdoctor.evidence.runtime_errors import Proof, RuntimeFailure, normalise, read_runtime_error
from kubectl_memdoctor.sandbox_failure import BEFORE_THE_POD_CGROUP

from .field_texts import NAMES, FieldText, field_texts

TEXTS = field_texts()

MISLEADING_NAMES = (
    "oom-killed",
    "container-init-was-oom-killed",
    "possibly-oom-killed",
    "out-of-memory",
    "memory-limit-too-low",
    "cannot-allocate-memory",
    "signal-killed",
    "init-p",
    "ttrpc-closed",
    "no-space-left-on-device",
    "network",
    "cni",
    "multus-seccomp",
    "apparmor",
    "selinux-relabel",
    "systemd",
    "sysctl",
    "image-puller",
    "snapshot-controller",
    "overlay2",
    "runtime-handler",
    "hook",
    "mounting",
    "timeout",
    "pids-limit",
    "hugepages",
    "capabilities",
    "docker-registry",
    "containerd-shim",
    "cri-o-conmon",
    "crun",
    "kata-qemu",
    "runsc",
    "youki",
)
"""Kubernetes takes each of them for the name of a pod, a namespace or a container."""

ADVERSARIAL = (
    '"',
    "'",
    "`",
    '\\"',
    "\\",
    "[",
    "(",
    ": ",
    "/a",
    "a",
    "pod ",
    "open `",
    ' caused "',
    ' caused \\"',
    'time="x" level=error msg="',
    "rpc error: code = Unknown desc = ",
    'desc = "a: ',
    "failed to start sandbox container ",
    "container init was OOM",
    "set memory limit ",
    "mkdir /cgroup",
    "mount ",
    "hook ",
    "qemu ",
    "init process ",
    "[a/",
    "k8s_",
    'plugin type="',
    "[failed to clean up sandbox container ",
    "unable to retrieve OCI runtime error (",
    "Others(",
    "\n",
    "\u202e",
    "\U0001f433",
)
"""What the patterns begin with, over and over: none may make reading slow."""


_read = functools.cache(lambda text: read_runtime_error(text.text()))


def told(failure: RuntimeFailure) -> Mapping[str, object]:
    """What a failure says, without the text that it was read from."""
    kept = ("cause", "proof", "runtime", "runtime_since", "runtime_before", "engine", "grpc_code")
    return {name: value for name, value in asdict(failure).items() if name in kept}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.source)
def test_reads_texts_from_the_field(text: FieldText) -> None:
    failure = asdict(read_runtime_error(text.text()))
    assert {name: failure[name] for name in text.expected} == text.expected


def test_every_cause_has_a_text_that_shows_it() -> None:
    assert {cause.slug for cause in (*CAUSES, LOW_LIMIT, UNKNOWN)} == {text.expected["cause"] for text in TEXTS}


def test_a_cause_proves_the_same_wherever_it_stands_in_the_table() -> None:
    proofs = {(cause.slug, cause.proof) for cause in CAUSES}
    assert len(proofs) == len({slug for slug, _ in proofs})


def test_causes_before_the_pods_cgroup_are_causes_other_than_memory() -> None:
    other = {cause.slug for cause in CAUSES if cause.proof is Proof.NOT_MEMORY}
    assert other >= BEFORE_THE_POD_CGROUP


_label = st.text(alphabet="abcxyz0189", min_size=1, max_size=20)
_name = st.one_of(
    _label,
    st.sampled_from(MISLEADING_NAMES),
    st.builds("{}-{}-{}".format, st.sampled_from(MISLEADING_NAMES), st.sampled_from(MISLEADING_NAMES), _label),
)
_uuid = st.uuids().map(str)


@st.composite
def _names(draw: st.DrawFn) -> dict[str, str]:
    uid = draw(_uuid)
    return {
        "cid": draw(st.binary(min_size=32, max_size=32)).hex(),
        "uid": uid,
        "uid_": uid.replace("-", "_"),
        "pod": draw(_name),
        "ns": draw(_name),
        "ctr": draw(_name),
        "ip": draw(st.ip_addresses().map(str)),
        "n": str(draw(st.integers(1, 4_194_304))),
    }


_GO_LINE = re.compile(r"(?<=\.go:)\d+")
_LIMIT = re.compile(r"(?<=set memory limit )\d+|(?<=unable to set memory limit to )\d+|(?<=usage: )\d+")


@given(text=st.sampled_from(TEXTS), names=_names(), line=st.integers(1, 99_999), number=st.integers(1, 2**40))
@settings(max_examples=100, deadline=None)
def test_ids_names_and_numbers_change_no_answer(text: FieldText, names: dict[str, str], line: int, number: int) -> None:
    other = _LIMIT.sub(str(number), _GO_LINE.sub(str(line), text.text(names)))
    assert told(read_runtime_error(other)) == told(_read(text))


@pytest.mark.parametrize("place", ["pod", "ns", "ctr"])
def test_a_name_proves_nothing(place: str) -> None:
    """Each text gets some of the names, each name stands in many texts."""
    names = itertools.cycle(MISLEADING_NAMES)
    for text in TEXTS:
        for name in itertools.islice(names, 5):
            renamed = text.text({place: name})
            if renamed == text.text():
                break
            assert told(read_runtime_error(renamed)) == told(_read(text)), f"{name} in {text.source}"


@given(text=st.sampled_from(TEXTS), beginning=st.sampled_from(("(combined from similar events): ", "  ", "Error: ")))
@settings(deadline=None)
def test_who_passed_an_error_on_changes_nothing(text: FieldText, beginning: str) -> None:
    assert told(read_runtime_error(beginning + text.text())) == told(_read(text))


_NAMES_MEMORY = re.compile(r"memory|oom", re.IGNORECASE)
_MEMORYLESS_PARTS = sorted(
    {
        part
        for text in TEXTS
        for part in re.split(r"(: |, | )", text.text())
        if part.strip() and not _NAMES_MEMORY.search(part)
    }
)


@given(st.lists(st.one_of(st.sampled_from(_MEMORYLESS_PARTS), st.text(max_size=10)), max_size=40), st.text(max_size=3))
@settings(max_examples=75, deadline=None)
def test_words_without_memory_never_prove_memory(parts: list[str], between: str) -> None:
    message = between.join(parts)
    failure = read_runtime_error(message)
    assert failure.proof is not Proof.MEMORY or _NAMES_MEMORY.search(message)
    assert failure.text == message


@given(text=st.sampled_from(TEXTS), length=st.integers(0, 1024))
@settings(max_examples=75, deadline=None)
def test_a_text_cut_off_proves_no_more_than_the_whole(text: FieldText, length: int) -> None:
    whole, cut = _read(text), read_runtime_error(text.text()[:length])
    assert cut.proof is not Proof.MEMORY or whole.proof is Proof.MEMORY


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], min_codepoint=0x250)))
def test_words_of_no_known_language_are_unknown(message: str) -> None:
    assert read_runtime_error(message).cause == "unknown"


@given(st.text())
def test_reads_anything(message: str) -> None:
    read_runtime_error(message)
    normalise(message)


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_a_megabyte_of_what_patterns_begin_with(unit: str) -> None:
    """That this ends at all is the test: a pattern that went back and forth would take hours."""
    assert read_runtime_error(unit * (1_000_000 // len(unit))).proof is not Proof.MEMORY


@pytest.mark.parametrize("unit", ['"', "/a", ' caused "', "mount ", "\n"])
def test_of_a_megabyte_only_both_ends_are_read(unit: str) -> None:
    ends = unit * (READ_FIRST // len(unit) + 1)
    one, other = (
        ends + middle * (1_000_000 // len(middle)) + ends for middle in (unit, "container init was OOM-killed ")
    )
    assert replace(read_runtime_error(one), text="") == replace(read_runtime_error(other), text="")


def test_a_long_text_is_read_at_both_ends() -> None:
    wrapped = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: "
    failure = read_runtime_error(f"{wrapped}{'x ' * 500_000}: container init was OOM-killed (memory limit too low?)")
    assert (failure.cause, failure.engine, failure.grpc_code) == ("oom-killed", "containerd", "Unknown")


def test_repetitions_are_equal_once_normalised() -> None:
    other = {
        "cid": "0123456789abcdef" * 4,
        "uid": "00000000-1111-2222-3333-444444444444",
        "uid_": "00000000_1111_2222_3333_444444444444",
        "n": "77",
    }
    for text in TEXTS:
        assert normalise(text.text(other)) == normalise(text.text({**NAMES, "n": "1"})), text.source
