"""The command line's flags: one table that is parsed, printed by --help and written into docs/cli.md.

Names, short forms and meanings are kubectl's own wherever kubectl has the flag; they are parsed as kubectl's pflag
does (`--all=false`, `-Ao json`), and its words say what is wrong. argparse takes too much for a flag to be a value.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from kubectl_memdoctor.exit_code import UsageError

PROGRAM = "kubectl memdoctor"


class Kind(StrEnum):
    """What a flag takes. LIST may be repeated; FLAG takes nothing, or `=true` and `=false`."""

    TEXT = "text"
    NUMBER = "number"
    LIST = "list"
    FLAG = "flag"


class Named(StrEnum):
    """What a value or an argument names, where a shell can complete it."""

    FILE = "file"
    FOLDER = "folder"
    CONTEXT = "context"
    CLUSTER = "cluster"
    USER = "user"
    NAMESPACE = "namespace"
    POD = "pod"
    DEMO_POD = "pod of the demo"
    NODE = "node"
    RUNTIME_CLASS = "runtimeclass"
    RULE = "rule"


class Flag(NamedTuple):
    """One flag. `default` is what is printed; `choices` are the only values, when there are any. `alone` is what the
    flag means without a value; then a value must stand behind an equals sign (pflag's NoOptDefVal). `names` is what
    its value is the name of."""

    name: str
    help: str
    kind: Kind = Kind.TEXT
    short: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    alias: str = ""
    alone: str = ""
    names: Named | None = None

    @property
    def field(self) -> str:
        return self.name.replace("-", "_")

    def spellings(self) -> list[str]:
        short = [f"-{self.short}"] if self.short else []
        alias = [f"--{self.alias}"] if self.alias else []
        return [*short, f"--{self.name}", *alias]


class Arguments(NamedTuple):
    """What the arguments of a command are: the `choices`, or what they name. There is one, or any number if `many`, and
    none beside the flags of `unless`."""

    names: Named | None = None
    choices: tuple[str, ...] = ()
    many: bool = False
    unless: tuple[Flag, ...] = ()


NAMESPACE = Flag("namespace", "The namespace scope of this command.", short="n", names=Named.NAMESPACE)
CONNECTION = (
    Flag("as", "Username to impersonate for the requests; a regular user or a service account in a namespace."),
    Flag("as-group", "Group to impersonate; may be repeated.", Kind.LIST),
    Flag("as-uid", "UID to impersonate for the requests."),
    Flag("as-user-extra", "Extra of the user to impersonate, as key=value; may be repeated.", Kind.LIST),
    Flag("certificate-authority", "Path to a certificate file for the certificate authority.", names=Named.FILE),
    Flag("client-certificate", "Path to a client certificate file for TLS.", names=Named.FILE),
    Flag("client-key", "Path to a client key file for TLS.", names=Named.FILE),
    Flag("cluster", "The name of the kubeconfig cluster to use.", names=Named.CLUSTER),
    Flag("context", "The name of the kubeconfig context to use.", names=Named.CONTEXT),
    Flag("disable-compression", "Do not ask the server for compressed answers.", Kind.FLAG, default="false"),
    Flag(
        "insecure-skip-tls-verify",
        "Do not verify the server's certificate. This makes the connection insecure.",
        Kind.FLAG,
        default="false",
    ),
    Flag("kubeconfig", "Path to the kubeconfig file to use.", names=Named.FILE),
    NAMESPACE,
    Flag("password", "Password for basic authentication to the API server."),
    Flag(
        "request-timeout",
        "The longest that a single server request may take, with a unit (1s, 2m, 3h). 0 means no limit.",
        default="0",
    ),
    Flag("server", "The address and port of the Kubernetes API server.", short="s"),
    Flag(
        "tls-server-name", "Server name to expect in the server's certificate; by default the host that is contacted."
    ),
    Flag("token", "Bearer token for authentication to the API server."),
    Flag("user", "The name of the kubeconfig user to use.", names=Named.USER),
    Flag("username", "Username for basic authentication to the API server."),
)
"""`kubectl options`, as far as it is about the connection: every command that looks at pods takes them."""

SELECTOR = Flag(
    "selector", "Only pods with these labels: '=', '==', '!=', 'in', 'notin' (-l key1=value1,key2).", short="l"
)
FIELD_SELECTOR = Flag(
    "field-selector", "Only pods with these fields: '=', '==', '!=' (--field-selector spec.nodeName=worker-1)."
)
CONTEXTS = Flag(
    "contexts",
    "Look at the clusters of these kubeconfig contexts side by side, with commas between their names.",
    Kind.LIST,
    names=Named.CONTEXT,
)
ALL_CONTEXTS = Flag(
    "all-contexts",
    "Look at the clusters of all kubeconfig contexts side by side, each server and user once.",
    Kind.FLAG,
    default="false",
)
ALL = Flag("all-namespaces", "Look at all namespaces.", Kind.FLAG, short="A", default="false", alias="all")
FILENAME = Flag(
    "filename",
    "Read a recording instead of a cluster: a file or a folder of what `kubectl get -o json|yaml` or `kubectl"
    " cluster-info dump --output-directory` wrote, gzipped or not, or - for standard input; may be repeated.",
    Kind.LIST,
    short="f",
    names=Named.FILE,
)
OUTPUTS = ("table", "wide", "page", "json", "jsonl", "yaml", "name", "prometheus")
OUTPUT = Flag("output", f"Output format. One of: ({', '.join(OUTPUTS)}).", short="o", choices=OUTPUTS)
OUTPUT_FILE = Flag(
    "output-file", "Write the result to this file as well, which appears once it is whole.", names=Named.FILE
)
NO_HEADERS = Flag("no-headers", "Print a table without its headers.", Kind.FLAG, default="false")
CHUNK_SIZE = Flag(
    "chunk-size",
    "Ask for large lists in pages of this many objects. 0 asks for all at once.",
    Kind.NUMBER,
    default="500",
)
MAX_QPS = Flag(
    "max-qps",
    "Send the API server at most this many requests a second. 0 leaves it to the server's own fair queuing.",
    Kind.NUMBER,
    default="0",
)
MINIMUM = Flag(
    "minimum",
    "The smallest memory limit with which your nodes start a pod's sandbox, as a quantity (16Mi), instead of the"
    " measured table.",
)
MINIMUM_FROM = Flag(
    "minimum-from",
    "A file of minimums that `kubectl memdoctor calibrate` measured on your nodes, or - for standard input, instead of"
    " those that it saved in the cluster.",
    names=Named.FILE,
)
COLORS = ("auto", "always", "never")
COLOR = Flag(
    "color",
    "Colour the output. auto: on a terminal, unless NO_COLOR is set. One of: (auto, always, never).",
    default="auto",
    choices=COLORS,
)
FAIL_ON_WORDS = ("critical", "warning", "info", "never")
FAIL_ON = Flag(
    "fail-on",
    "Exit with 1 when there is a finding of this severity or worse. One of: (critical, warning, info, never).",
    default="warning",
    choices=FAIL_ON_WORDS,
)
STRICT = Flag(
    "strict",
    "Exit with 2 when anything that should be looked at could not be; nodes by themselves only with --node-evidence.",
    Kind.FLAG,
    default="false",
)
PODS = Flag("pods", "One row for each pod instead of one for all pods of a workload.", Kind.FLAG, default="false")
NODE_LOG = Flag(
    "node-log",
    "Read a node's log as well: a file or folder of dmesg, journalctl, kubelet, containerd, CRI-O or docker logs, of"
    " `docker ps -a` or `crictl pods`, gzipped or not, or - for standard input; may be repeated.",
    Kind.LIST,
    names=Named.FILE,
)
NODE_EVIDENCE = Flag(
    "node-evidence",
    "Ask the pods' nodes for counters, use and logs; that needs get on nodes/proxy. Where it is not given, pod takes"
    " what answers within a second, and ns asks no node.",
    Kind.FLAG,
)
DEBUG_POD = Flag(
    "debug-pod",
    "Read the kernel log and the runtime's sandboxes by a privileged pod on the node, which is removed at once. Writes:"
    " asks first.",
    Kind.FLAG,
    default="false",
)
PROMETHEUS = Flag(
    "prometheus",
    "Where to ask for the memory use of the last 7 days: the URL of a Prometheus, or auto to find one in the cluster.",
)
PROMETHEUS_TOKEN_FILE = Flag(
    "prometheus-token-file",
    "A file with the bearer token for the URL of --prometheus; no other token is sent there.",
    names=Named.FILE,
)
NEAR_LIMIT = Flag("near-limit", "Also list containers that use at least so much of their memory limit (90%).")
NODE = Flag(
    "node", "A node to measure on; may be repeated. By default one node of each kind.", Kind.LIST, names=Named.NODE
)
RUNTIME_CLASS = Flag(
    "runtime-class",
    "Measure with the handler of this RuntimeClass instead of the nodes' default.",
    names=Named.RUNTIME_CLASS,
)
IMAGE = Flag(
    "image", "The image of the pods, whose program must stay. By default the pause image that the node itself lists."
)
SAVE = Flag(
    "save",
    "Keep the result in the cluster, in the ConfigMap memdoctor-sandbox-minimum of namespace kube-public.",
    Kind.FLAG,
    default="false",
)
YES = Flag("yes", "Do not ask before anything is written to the cluster.", Kind.FLAG, short="y", default="false")
DRY_RUN_STRATEGIES = ("none", "client", "server")
DRY_RUN = Flag(
    "dry-run",
    'Must be "none", "client", or "server". client: only print what would be made, in full with -o. server: have the'
    " server admit it as well, without keeping it; that needs -n.",
    default="none",
    choices=DRY_RUN_STRATEGIES,
    alone="client",
)
CLEAN = Flag(
    "clean",
    "Remove what earlier runs left behind, wherever it is, or in the namespace of -n; measure nothing.",
    Kind.FLAG,
    default="false",
)
TO = Flag(
    "to",
    "The folder to write to. By default the one in which kubectl finds this plugin, else ~/.local/bin.",
    names=Named.FOLDER,
)
HELP = Flag("help", "Show the help of this command.", Kind.FLAG, short="h")
VERSION = Flag("version", "Print the version.", Kind.FLAG)

REPORTING = (OUTPUT, OUTPUT_FILE, NO_HEADERS, COLOR, FAIL_ON, STRICT)
LOOKING = (SELECTOR, FIELD_SELECTOR, FILENAME, CHUNK_SIZE, MAX_QPS, MINIMUM, MINIMUM_FROM)
EVERYWHERE = (HELP, VERSION)
NODE_LOOKING = (NODE_EVIDENCE, NODE_LOG, DEBUG_POD, PROMETHEUS, PROMETHEUS_TOKEN_FILE, NEAR_LIMIT)
CALIBRATING = (NODE, RUNTIME_CLASS, IMAGE, SAVE, YES, DRY_RUN, CLEAN)
EVERY_FLAG = (
    *CONNECTION,
    CONTEXTS,
    ALL_CONTEXTS,
    ALL,
    PODS,
    *LOOKING,
    *REPORTING,
    *NODE_LOOKING,
    *CALIBRATING,
    TO,
    *EVERYWHERE,
)


class CommandLine(NamedTuple):
    """`words` are the arguments that are not flags, `given` the flags that were given: field name -> value. `ended` is
    whether `--` stands on it, after which nothing is a flag."""

    words: tuple[str, ...]
    given: Mapping[str, Any]
    ended: bool = False

    def text(self, flag: Flag) -> str:
        return str(self.given.get(flag.field, flag.default))

    def number(self, flag: Flag) -> int:
        return int(self.given.get(flag.field, flag.default))

    def flag(self, flag: Flag) -> bool:
        return bool(self.given.get(flag.field, False))

    def values(self, flag: Flag) -> tuple[str, ...]:
        return tuple(self.given.get(flag.field, ()))

    def names_contexts(self) -> bool:
        """Whether several clusters are to be looked at, even where there turns out to be just one."""
        return CONTEXTS.field in self.given or self.flag(ALL_CONTEXTS)

    def connection(self) -> dict[str, Any]:
        """The flags about the connection that were given, by the names of `cluster.kubeconfig.ConnectionFlags`."""
        names = {flag.field: "as_user" if flag.name == "as" else flag.field for flag in CONNECTION}
        found = {names[field]: value for field, value in self.given.items() if field in names}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


class MissingValue(UsageError):
    """The line ends where the value of `flag` must stand."""

    def __init__(self, flag: Flag, spelling: str) -> None:
        super().__init__(f"flag needs an argument: {spelling}")
        self.flag = flag


_LONG = {name: flag for flag in EVERY_FLAG for name in (flag.name, flag.alias) if name}
_SHORT = {flag.short: flag for flag in EVERY_FLAG if flag.short}


def parse(arguments: Iterable[str]) -> CommandLine:
    """Raises UsageError, MissingValue. Flags may stand anywhere, before the command's name as well.

    https://github.com/spf13/pflag/blob/v1.0.10/flag.go (parseArgs): what follows a flag is its value, whatever it is.
    """
    rest = deque(arguments)
    words: list[str] = []
    given: dict[str, Any] = {}
    while rest:
        argument = rest.popleft()
        if argument == "--":
            return CommandLine((*words, *rest), given, ended=True)
        if argument == "-" or not argument.startswith("-"):
            words.append(argument)
            continue
        for flag, text in _long(argument, rest) if argument.startswith("--") else _shorts(argument, rest):
            value = _value(flag, text)
            given[flag.field] = [*given.get(flag.field, ()), value] if flag.kind is Kind.LIST else value
    return CommandLine(tuple(words), given)


def _long(argument: str, rest: deque[str]) -> Iterator[tuple[Flag, str]]:
    name, equals, text = argument[2:].partition("=")
    if not name or name.startswith("-"):
        raise UsageError(f"bad flag syntax: {argument}")
    if name not in _LONG:
        raise UsageError(f"unknown flag: --{name}")
    flag = _LONG[name]
    yield flag, text if equals else _next(flag, rest, f"--{name}")


def _shorts(argument: str, rest: deque[str]) -> Iterator[tuple[Flag, str]]:
    """`-Ao json`, `-ojson`, `-o=json`: letters of flags that take nothing, then one with its value."""
    letters = argument[1:]
    while letters:
        letter, following = letters[0], letters[1:]
        if letter not in _SHORT:
            raise UsageError(f"unknown shorthand flag: {letter!r} in -{letters}")
        flag = _SHORT[letter]
        if following.startswith("=") and len(following) > 1:
            yield flag, following[1:]
            return
        if flag.kind is not Kind.FLAG and following:
            yield flag, following
            return
        yield flag, _next(flag, rest, f"{letter!r} in -{letters}")
        letters = following


def _next(flag: Flag, rest: deque[str], spelling: str) -> str:
    """The value of a flag that stands alone."""
    if flag.kind is Kind.FLAG:
        return "true"
    if flag.alone:
        return flag.alone
    if not rest:
        raise MissingValue(flag, spelling)
    return rest.popleft()


def _value(flag: Flag, text: Any) -> Any:
    if flag.kind is Kind.FLAG:
        return _boolean(flag, text)
    if flag.kind is Kind.NUMBER:
        return _whole_number(flag, text)
    if flag.choices and text not in (*flag.choices, flag.default):
        if flag is OUTPUT:
            allowed = ",".join(flag.choices)
            raise UsageError(
                f'unable to match a printer suitable for the output format "{text}", allowed formats are: {allowed}'
            )
        raise UsageError(f'invalid argument "{text}" for "--{flag.name}" flag: must be {_either(flag.choices)}')
    return text


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _boolean(flag: Flag, text: str) -> bool:
    """As Go's strconv.ParseBool."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise UsageError(f'invalid argument "{text}" for "--{flag.name}" flag: must be true or false')


def _whole_number(flag: Flag, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f'invalid argument "{text}" for "--{flag.name}" flag: must be a whole number, 0 or more')
    return int(text)


def refuse_others(command_line: CommandLine, allowed: Iterable[Flag], command: str) -> None:
    """Raises UsageError for a flag that is not the command's."""
    fields = {flag.field for flag in (*allowed, *EVERYWHERE)}
    for field in command_line.given:
        if field not in fields:
            raise UsageError(f"unknown flag: --{field.replace('_', '-')} (for {PROGRAM} {command})")
