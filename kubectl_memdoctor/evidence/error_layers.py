"""Takes an error apart: who passed it on, and what the innermost one said.

Every program on the way from the kernel to the event wraps the error of the one below it: kubelet, gRPC, containerd,
CRI-O or docker, the shim, the OCI runtime, the runtime's own init. Two ways of wrapping occur: "what failed: cause"
and, in runc before 1.0.0-rc91, `what failed caused "cause"` with the quotes of each layer escaped once more.
"""

from __future__ import annotations

import re

from msgspec import Struct

READ_FIRST = 12 * 1024
READ_LAST = 4 * 1024
"""Characters. An event's message has at most 1 KiB, a container's a few; of longer ones both ends are read, since the
wrappers stand at the beginning and the cause at the end."""

MAX_LAYERS = 40


class Unwrapped(Struct, frozen=True):
    """`layers` are the wrappers as they stood, outermost first; `chain` is all of it, unquoted, on one line; `words` is
    the chain without what users named: pods, namespaces, images, paths, commands."""

    innermost: str
    layers: tuple[str, ...]
    chain: str
    words: str
    grpc_code: str | None
    """The outermost one, by name: what the kubelet got from the runtime."""


def readable_part(message: str) -> str:
    if len(message) <= READ_FIRST + READ_LAST:
        return message
    return f"{message[:READ_FIRST]} ... {message[-READ_LAST:]}"


_NAME = r"""(?:"[^"]{0,400}"|'[^']{0,400}'|[^\s:"']{1,300})"""

_PARTS = r"(?:(?:sandbox|containerd|container|task|shim) ?){1,4}"
_ID = r"(?:\([^()]{0,200}\))?"
_SANDBOX = r"(?:pod )?(?:network )?(?:sandbox|network)(?: container)?"

_GRPC = re.compile(r"(?:rpc|grpc) error: code = (?P<code>\w{1,40})(?:\(\d+\))? desc = ?", re.IGNORECASE)
_GRPC_NUMBERS = {
    "1": "Canceled",
    "2": "Unknown",
    "4": "DeadlineExceeded",
    "5": "NotFound",
    "13": "Internal",
    "14": "Unavailable",
}
"""grpc-go printed numbers until 1.6: https://pkg.go.dev/google.golang.org/grpc/codes"""

_WRAPPERS = re.compile(
    "|".join(
        (
            r"\(combined from similar events\): ?",
            # kubelet: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/kuberuntime/kuberuntime_manager.go
            rf"failed (?:to )?(?:create|start) (?:a )?(?:pod )?sandbox(?: for pod {_NAME})?(?: {_NAME})?: ?",
            r"error: ",
            # containerd: internal/cri/server/{sandbox_run,podsandbox/sandbox_run,container_start}.go, core/runtime/v2
            rf"failed to (?:create|start|restore) {_PARTS}(?: ?{_NAME})?(?: ?for pod {_NAME})?: ",
            r"start failed: ",
            r"(?:OCI|oci) runtime (?:create|start|exec|run|state|restore|error)(?: failed| error)?: ",
            r"OCI runtime error: ",
            r"unable to retrieve OCI runtime error \([^()]{0,600}\): ",
            r"[\w./-]{1,200} did not terminate succ?essfully: exit status \d{1,3}: (?=\S)",
            # docker, cri-dockerd: core/sandbox_run.go
            r"error response from daemon: ",
            r"API error \(\d{3}\): ",
            rf"cannot start container {_NAME}: ",
            r"\[\d{1,2}\] system error: ",
            # The OCI runtime says of itself what it was doing: `runc create failed: ...`, crun's and youki's likewise.
            r"[\w.-]{1,60} (?:create|start|run|exec|restore) failed: ",
            r"crun: ",
            r"connection error: desc = ",
            # Rust's enclosed errors: Kata's runtime-rs, youki.
            r"\w{1,40}\((?=\\*\")",
            r"container create failed: ",
            r"container start failed: ",
            r"\w{1,40}\.go:\d{1,6}: ",
            r"(?:error )?starting container process caused: ",
            r"unable to start container process: ",
            r"(?:error during )?container init(?: caused)?: (?=\S)",
            r"unable to (?:create new parent process|start init): ",
            r"runc init error\(s\): ",
            r"getting the final child's pid from pipe caused: (?=(?:read|write) )",
            r"copying bootstrap data to pipe caused: (?=(?:read|write) )",
            # Network: containerd, CRI-O (internal/server/sandbox_network.go), dockershim, libcni.
            rf"failed to set ?up network for sandbox {_NAME}: ",
            rf"failed to (?:create|set ?up) {_SANDBOX} {_NAME}{_ID}(?: network)?(?: for pod {_NAME})?: ",
            rf"network ?plugin {_NAME} failed to set ?up pod {_NAME} network: ",
            rf"error adding pod {_NAME} to CNI network {_NAME}: ",
            rf"plugin type={_NAME}(?: name={_NAME})? failed \((?:add|delete)\): ",
        )
    ),
    re.IGNORECASE,
)

_POD_IN_BRACKETS = re.compile(r"\[[\w.-]{1,253}/[^\]]{1,1000}\]")

# What users may name as they like, and what is left in its place. Quotes inside quotes are escaped: the closing one is
# the next that is escaped as the opening one is.
_NAMES = (
    (re.compile(r'(?<!\\)(\\{0,16})"(.{0,1000}?)(?<!\\)\1"', re.DOTALL), '""'),
    (re.compile(r"`[^`]*`"), "``"),
    (re.compile(r"'[^'\s]*'"), "''"),
    # CRI-O's names of containers, network plugins' [namespace/pod:network].
    (re.compile(r"\bk8s_\S+"), "k8s"),
    (re.compile(r"\b(pod )[\w.-]{1,253}_[\w.-]{1,253}"), r"\1"),
    (re.compile(r"(name(?:space)?[:=])[\w.-]{1,253}", re.IGNORECASE), r"\1"),
    (re.compile(r"\b((?:container|namespace): )[\w.-]{1,253}(?=[,;)])"), r"\1"),
    (_POD_IN_BRACKETS, "[]"),
    (re.compile(r"(?<![\w.])(?:[a-z][a-z0-9+.-]{0,20}:/)?/[^\s:,;)\]\"'`]*", re.IGNORECASE), "/"),
)

_CAUSED_BY = re.compile(r' caused(?: by)?:? (?=\\*")', re.IGNORECASE)
_CONMON_LOG = re.compile(r'time="[^"]{0,60}" level=(?:error|fatal|warning|panic) msg="', re.IGNORECASE)
_OPENING = re.compile(r'(\\*)"')
_QUOTED = re.compile(r'((?:[^"\\]|\\.)*)"?', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CLEAN_UP_TOO = re.compile(r", failed to clean ?up sandbox container .*", re.IGNORECASE | re.DOTALL)
_NEEDS_ITS_LAYER = re.compile(r"|EOF|exit status \d{1,3}|signal: [\w ]{1,40}", re.IGNORECASE)
"""Says nothing without the layer above it."""

_UNKNOWN_CODE = re.compile(r"(?::\s*unknown)+\W*$", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


def unwrap(message: str) -> Unwrapped:
    """Time grows with the length of what is read (READ_FIRST + READ_LAST), whatever it holds."""
    rest = readable_part(message).strip()
    layers: list[str] = []
    grpc_code: str | None = None
    while len(layers) < MAX_LAYERS:
        code = _GRPC.match(rest)
        if code:
            grpc_code = grpc_code or _GRPC_NUMBERS.get(code["code"], code["code"])
        wrapper = code or _WRAPPERS.match(rest)
        if wrapper:
            layers.append(_bare(wrapper[0]))
            rest = rest[wrapper.end() :].lstrip()
            continue
        opened = _open(rest)
        if opened is None:
            break
        layer, rest = opened
        if layer:
            layers.append(layer)
    innermost = _innermost(rest)
    if layers and _NEEDS_ITS_LAYER.fullmatch(innermost):
        innermost = f"{layers.pop()}: {innermost}".removesuffix(": ")
    chain = _SPACE.sub(" ", ": ".join((*layers, innermost)))
    return Unwrapped(innermost, tuple(layers), chain, _without_names(chain), grpc_code)


def _without_names(chain: str) -> str:
    for name, rest in _NAMES:
        chain = name.sub(rest, chain)
    return chain


def _bare(wrapper: str) -> str:
    return wrapper.strip().removesuffix(":").removesuffix("=").strip()


def _open(text: str) -> tuple[str, str] | None:
    """One layer that encloses its cause: brackets, a log line of conmon, an error of gRPC inside a sentence, or quotes.
    None: there is none."""
    if text.startswith("[") and not _POD_IN_BRACKETS.match(text):
        return "", _CLEAN_UP_TOO.sub("", text[1:].rstrip().removesuffix("]"))
    if text.startswith('time="'):
        return _open_log(text)
    if _OPENING.match(text):
        inside = _unquote(text)
        return ("", inside) if ": " in inside else None
    quote = _CAUSED_BY.search(text)
    if quote is not None and not _has_name(text[: quote.start()]):
        inside = _unquote(text[quote.end() :])
        return (text[: quote.start()], inside) if inside else None
    code = _GRPC.search(text)
    return (_bare(text[: code.start()].rstrip('\\" ')), text[code.start() :]) if code else None


def _has_name(layer: str) -> bool:
    """`mounting "/a" to rootfs at "/b" caused "not a directory"`: without its names the cause says nothing."""
    return '"' in layer


def _open_log(text: str) -> tuple[str, str] | None:
    """conmon hands on runc's log lines; the last one is the error, those before it are warnings.
    https://github.com/containers/conmon/blob/v2.1.0/src/conmon.c
    """
    lines = [line.end() for line in _CONMON_LOG.finditer(text)]
    return ("", _unquote(text[lines[-1] - 1 :])) if lines else None


def _unquote(text: str) -> str:
    """`text` begins with a quote. The closing one may be missing: events are cut off at 1 KiB.

    A quote that is itself escaped lost the layer that it belongs to; the one that closes it is escaped likewise.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return text
    inside = text[opening.end() :]
    if opening[1]:
        inside = re.split(rf'(?<!\\)\\{{{len(opening[1])}}}"', inside, maxsplit=1)[0]
    quoted = _QUOTED.match(inside)
    return _ESCAPE.sub(_unescape, quoted[1]).strip() if quoted else inside


def _unescape(escape: re.Match[str]) -> str:
    return " " if escape[1] in "nrt" else escape[1]


def _innermost(rest: str) -> str:
    """What is left, with the quotes of causes inside it taken off as well, and without containerd's closing code."""
    while True:
        quote = _CAUSED_BY.search(rest)
        inside = _unquote(rest[quote.end() :]) if quote else ""
        if quote is None or not inside:
            break
        rest = f"{rest[: quote.start()]} caused: {inside}"
    return _UNKNOWN_CODE.sub("", _SPACE.sub(" ", rest)).strip()
