"""Kubernetes' protobuf, read into the same structs as JSON.

The API server encodes it with a quarter of the work. A schema of just the fields that `objects` has is made here, and
a function for each struct that fills it from a message. What does not decode raises DecodeError: JSON may still do.

The wire format: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Annotated, Any, Generic, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, field

from kubectl_memdoctor import objects
from kubectl_memdoctor.cluster.protobuf_fields import FIELDS, GLANCED, LISTED, Inside
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import ListMeta, Object, Quantities, Resource

MAGIC = b"k8s\x00"
"""What every body begins with."""
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
KEPT = 4096
"""Different values of one kind that are remembered: what replicas have in common is read once."""
_SHARED: frozenset[type[Struct]] = frozenset({objects.ResourceRequirements, objects.OwnerReference, objects.PodOS})
"""Structs of which many objects have the very same."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH_DELIMITED = 2


class DecodeError(AccessError):
    """The body is cut, garbled, or of another kind."""

    def __init__(self, what: str) -> None:
        super().__init__(f"error: the API server's answer is not protobuf that can be read: {what}")


class ListBody(Struct, Generic[Object], frozen=True):
    """A list whose metadata is read already and whose items are not."""

    meta: ListMeta
    _raw: memoryview
    _resource: Resource[Object]

    def items(self) -> tuple[Object, ...]:
        """Raises DecodeError."""
        return tuple(self.one_by_one())

    def one_by_one(self) -> OneByOne[Object]:
        """Raises DecodeError where no item can be found."""
        schema, function = _schema(), _function(self._resource.type)
        message = schema.message(f"{self._resource.kind}List")
        messages = _decoded(lambda: message.FromString(bytes(self._raw)).items[:])
        return OneByOne(messages, schema.functions[function], schema.glances[function])


class OneByOne(Generic[Object]):
    """Items that are read when they are asked for. Reading raises DecodeError."""

    def __init__(self, messages: Sequence[Any], read: Callable[[Any], Object], glance: Callable[[Any], Object]) -> None:
        self._messages = messages
        self._read = read
        self._glance = glance

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._all(self._read))

    def __getitem__(self, place: int) -> Object:
        item: Object = _decoded(lambda: self._read(self._messages[place]))
        return item

    def glances(self) -> tuple[Object, ...]:
        """The items with those of their fields that GLANCED names, all others as if they were absent."""
        return tuple(self._all(self._glance))

    def _all(self, read: Callable[[Any], Object]) -> list[Object]:
        items: list[Object] = _decoded(lambda: [read(message) for message in self._messages])
        return items


def reads(resource: Resource[Any]) -> bool:
    """Whether it is worth asking for. Python's own implementation of protobuf, which is installed where there is no
    compiled one, is far slower than JSON."""
    return resource in LISTED and _is_compiled()


def is_cut(body: bytes) -> bool:
    """Whether a body in protobuf ends too early."""
    if not body.startswith(MAGIC):
        return False
    try:
        _opened(body)
    except DecodeError:
        return True
    return False


def open_list(body: bytes, resource: Resource[Object]) -> ListBody[Object]:
    """A body that begins with MAGIC. Raises DecodeError."""
    kind, raw = _opened(body)
    if kind != f"{resource.kind}List":
        raise DecodeError(f"{kind} instead of {resource.kind}List")
    # The API server writes fields in the order of their numbers, so that a list's metadata stands first.
    number, found, _ = _next_field(raw, 0) if raw else (0, raw, 0)
    meta = _schema().struct(ListMeta, bytes(found)) if number == 1 else ListMeta()
    return ListBody(meta, raw, resource)


def open_struct(body: bytes, kind: str, type_: type[Struct]) -> Any:
    """One object of a kind, which begins with MAGIC. Raises DecodeError."""
    found, raw = _opened(body)
    if found != kind:
        raise DecodeError(f"{found} instead of {kind}")
    return _schema().struct(type_, bytes(raw))


def _opened(body: bytes) -> tuple[str, memoryview]:
    """Kind and content of a runtime.Unknown, which stands around every object.
    https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/runtime/generated.proto
    """
    view = memoryview(body)
    fields = dict(_fields(view[len(MAGIC) :]))
    if 2 not in fields:
        raise DecodeError("the message is cut")
    kinds = dict(_fields(fields.get(1, view[:0])))
    return bytes(kinds.get(2, b"")).decode(errors="replace"), fields[2]


def _fields(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(view):
        number, found, at = _next_field(view, at)
        yield number, found


def _next_field(view: memoryview, at: int) -> tuple[int, memoryview, int]:
    """Number and content of the field that begins at `at`, and where the one after it begins."""
    tag, at = _varint(view, at)
    if tag & 7 != _LENGTH_DELIMITED:
        raise DecodeError(f"a field of wire type {tag & 7} where only messages and texts are")
    length, at = _varint(view, at)
    if at + length > len(view):
        raise DecodeError("the message is cut")
    return tag >> 3, view[at : at + length], at + length


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """https://protobuf.dev/programming-guides/encoding/#varints"""
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(view):
            raise DecodeError("the message is cut")
        byte = view[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise DecodeError("a number of more than 64 bits")


def _decoded(read: Callable[[], Any]) -> Any:
    from google.protobuf.message import DecodeError as Undecodable

    try:
        return read()
    except Undecodable as error:
        raise DecodeError(str(error)) from None


@cache
def _is_compiled() -> bool:
    from google.protobuf.internal import api_implementation

    return bool(api_implementation.Type() != "python")


class _Schema(Struct, frozen=True):
    """`message` gives a message's class by its name. `functions` read a message as a whole, `glances` what GLANCED
    names."""

    message: Callable[[str], Any]
    functions: dict[str, Callable[[Any], Any]]
    glances: dict[str, Callable[[Any], Any]]

    def struct(self, type_: type[Struct], body: bytes) -> Any:
        """Raises DecodeError."""
        message, convert = self.message(type_.__name__), self.functions[_function(type_)]
        return _decoded(lambda: convert(message.FromString(body)))


@cache
def _schema() -> _Schema:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="memdoctor.proto", package="memdoctor", syntax="proto3")
    texts = _Texts(file)
    texts.message("Quantity").field("string", 1, "string")
    texts.message("QuantityEntry").field("key", 1, "string").field("value", 2, "Quantity")
    texts.message("TextEntry").field("key", 1, "string").field("value", 2, "string")
    texts.message("Time").field("seconds", 1, "int64").field("nanos", 2, "int64")
    for struct in FIELDS:
        texts.struct(struct)
    for resource in LISTED:
        texts.message(f"{resource.kind}List").field("items", 2, resource.type.__name__, repeated=True)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())

    @cache
    def message(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"memdoctor.{name}"))

    functions = _compiled(texts.sources, _names(message))
    return _Schema(message, functions, _compiled(texts.glances, dict(functions)))


def _function(struct: type[Struct]) -> str:
    return f"read_{struct.__name__}"


def _compiled(sources: list[str], names: dict[str, Any]) -> dict[str, Any]:
    """`names` and the functions' texts, compiled as dataclasses does it: a loop over fields would take several times as
    long."""
    exec("\n".join(sources), names)
    return names


def _names(message: Callable[[str], Any]) -> dict[str, Any]:
    """What the functions' texts call."""
    entry, time = message("QuantityEntry"), message("Time")

    @lru_cache(KEPT)
    def quantities(entries: tuple[bytes, ...]) -> dict[str, str]:
        return {found.key: found.value.string for found in map(entry.FromString, entries)}

    @lru_cache(KEPT)
    def moment(body: bytes) -> datetime | None:
        found = time.FromString(body)
        try:
            return _EPOCH + timedelta(seconds=found.seconds, microseconds=found.nanos // 1000)
        except OverflowError:
            return None

    names: dict[str, Any] = {struct.__name__: struct for struct in FIELDS}
    names |= {"quantities": quantities, "moment": moment, "message": message, "kept": lru_cache(KEPT), "NONE": {}}
    return names


class _Message(Struct):
    """One message of the schema that is being made."""

    _made: Any

    def field(self, name: str, number: int, type_: str, *, repeated: bool = False, optional: bool = False) -> _Message:
        """`type_` is a scalar's name or a message's. `optional` tells what is absent from what is zero."""
        made = self._made.field.add(name=name, number=number)
        made.label = made.LABEL_REPEATED if repeated else made.LABEL_OPTIONAL
        scalar = getattr(made, f"TYPE_{type_.upper()}", None)
        made.type = made.TYPE_MESSAGE if scalar is None else scalar
        if scalar is None:
            made.type_name = f".memdoctor.{type_}"
        elif optional:
            made.proto3_optional = True
            made.oneof_index = len(self._made.oneof_decl)
            self._made.oneof_decl.add(name=f"_{name}")
        return self


class _Texts(Struct):
    """The schema's messages, and beside them the texts of the functions that read them. `glances` are functions that
    stand in for those of the same name."""

    _file: Any
    sources: list[str] = field(default_factory=list)
    glances: list[str] = field(default_factory=list)

    def message(self, name: str) -> _Message:
        return _Message(self._file.message_type.add(name=name))

    def struct(self, struct: type[Struct]) -> None:
        """A message with the struct's fields, and a function that makes the struct of it."""
        name, message = struct.__name__, self.message(struct.__name__)
        arguments: dict[str, str] = {}
        inside: dict[int, list[str]] = {}
        hints = get_type_hints(struct, include_extras=True)
        for entry in (entry.name for entry in msgspec.structs.fields(struct)):
            number, hint = FIELDS[struct].get(entry), hints[entry]
            if number is None:
                continue
            if isinstance(number, int):
                arguments[entry] = f"{entry}={_field(message, entry, number, hint)}"
            elif get_origin(hint) is tuple:
                arguments[entry] = f"{entry}={self._wrapped_items(message, name, entry, number, get_args(hint)[0])}"
            else:
                inside.setdefault(number.message, []).append(entry)
        for number, entries in inside.items():
            inner = self.message(f"{name}Inside{number}")
            message.field(f"inside{number}", number, "bytes")
            inner_fields = {entry: FIELDS[struct][entry] for entry in entries}
            texts = [
                f"'{entry}': {_field(inner, entry, place.field, hints[entry])}"
                for entry, place in inner_fields.items()
                if isinstance(place, Inside)
            ]
            self._kept(f"read_{name}Inside{number}", f"{name}Inside{number}", f"{{{', '.join(texts)}}}")
            arguments[f"inside{number}"] = f"**read_{name}Inside{number}(m.inside{number})"
        made = f"{name}({', '.join(arguments.values())})"
        if struct in _SHARED:
            self._kept(_function(struct), name, made)
        else:
            self.sources.append(f"def {_function(struct)}(m):\n    return {made}")
        if struct in GLANCED:
            seen = ", ".join(text for entry, text in arguments.items() if entry in GLANCED[struct])
            self.glances.append(f"def {_function(struct)}(m):\n    return {name}({seen})")

    def _wrapped_items(self, message: _Message, name: str, entry: str, number: Inside, item: type[Struct]) -> str:
        wrapper = f"{name}{number.message}"
        self.message(wrapper).field("item", number.field, item.__name__)
        message.field(entry, number.message, wrapper, repeated=True)
        return f"tuple([{_function(item)}(i.item) for i in x[:]]) if (x := m.{entry}) else ()"

    def _kept(self, function: str, message: str, made: str) -> None:
        self.sources.append(
            f"@kept\ndef {function}(body):\n    m = message({message!r}).FromString(body)\n    return {made}"
        )


def _field(message: _Message, name: str, number: int, hint: Any) -> str:
    """Adds the field, and gives the text of what reads it out of `m`."""
    is_optional = get_origin(hint) in (Union, types.UnionType)
    if is_optional:
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    if hint == Quantities:
        message.field(name, number, "bytes", repeated=True)
        return f"quantities(tuple(x[:])) if (x := m.{name}) else NONE"
    if get_origin(hint) is Annotated and get_args(hint)[0] is datetime:
        # A time that is not set is there, and empty.
        message.field(name, number, "bytes")
        return f"moment(x) if (x := m.{name}) else None"
    if get_origin(hint) is dict:
        message.field(name, number, "TextEntry", repeated=True)
        return f"{{i.key: i.value for i in x[:]}} if (x := m.{name}) else NONE"
    if get_origin(hint) is tuple:
        return _repeated(message, name, number, get_args(hint)[0])
    read = _single(message, name, number, hint, is_optional=is_optional)
    return f"{read} if m.HasField({name!r}) else None" if is_optional else read


def _repeated(message: _Message, name: str, number: int, item: type) -> str:
    if item is str:
        message.field(name, number, "string", repeated=True)
        return f"tuple(m.{name}[:])"
    message.field(name, number, "bytes" if item in _SHARED else item.__name__, repeated=True)
    return f"tuple([{_function(item)}(i) for i in x[:]]) if (x := m.{name}) else ()"


def _single(message: _Message, name: str, number: int, hint: Any, *, is_optional: bool) -> str:
    scalar = {str: "string", int: "int64", bool: "bool"}.get(hint)
    if scalar is None and hint in _SHARED:
        scalar = "bytes"
    message.field(name, number, scalar or hint.__name__, optional=is_optional)
    read = f"m.{name}"
    return read if hint in (str, int, bool) else f"{_function(hint)}({read})"
