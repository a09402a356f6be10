"""Turn frozen dataclasses into JSON documents and back, with errors that carry the key path."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, Union, cast

T = TypeVar("T")


class DocumentError(ValueError):
    """A document does not have the shape of its type; `path` is like `hosts[2].slots`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path or 'document'}: {message}")
        self.path = path
        self.message = message


def to_document(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return `value` as JSON types: dataclasses and mappings as objects, tuples and sets as arrays."""
    match value:
        case enum.Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(to_document(key)): to_document(item) for key, item in value.items()}
        case tuple() | list():
            return [to_document(item) for item in value]
        case frozenset() | set():
            return sorted(to_document(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_document(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_document(kind: type[T], document: object, *, path: str = "") -> T:
    """Return `document` as a `kind`; keys that the type does not know are ignored.

    Raises DocumentError when a value is missing or of another type.
    """
    return cast("T", _decode(kind, document, path))


def canonical_json(value: object) -> bytes:
    """Return the one JSON text of `value`: sorted keys, no spaces; equal values give equal bytes."""
    return json.dumps(to_document(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(*values: object) -> str:
    """Return the sha256 (hex) of the values' canonical JSON."""
    return hashlib.sha256(canonical_json(list(values))).hexdigest()


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, document: object, path: str) -> object:  # noqa: ANN401, PLR0911 - one return per shape
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return document
    if origin in (Union, types.UnionType):
        return _decode_union(typing.get_args(kind), document, path)
    if origin is tuple:
        (item_kind, *_) = typing.get_args(kind)
        items = _expect(list, document, path)
        return tuple(_decode(item_kind, item, f"{path}[{index}]") for index, item in enumerate(items))
    if origin in (dict, Mapping):
        key_kind, item_kind = typing.get_args(kind)
        entries = _expect(dict, document, path)
        return {
            _decode(key_kind, key, f"{path}.{key}"): _decode(item_kind, item, f"{path}.{key}")
            for key, item in entries.items()
        }
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _decode_enum(kind, document, path)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(cast("type", kind), document, path)
    if kind is float and isinstance(document, int) and not isinstance(document, bool):
        return float(document)
    return _expect(getattr(kind, "__supertype__", kind), document, path)


def _decode_union(kinds: tuple[Any, ...], document: object, path: str) -> object:
    if document is None and type(None) in kinds:
        return None
    real = [kind for kind in kinds if kind is not type(None)]
    return _decode(real[0], document, path)


def _decode_enum(kind: type[enum.Enum], document: object, path: str) -> enum.Enum:
    try:
        return kind(document)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise DocumentError(path, f"{document!r} is not one of: {known}") from None


def _decode_dataclass(kind: type, document: object, path: str) -> object:
    entries = _expect(dict, document, path)
    hints = _hints(kind)
    values: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        where = f"{path}.{field.name}" if path else field.name
        if field.name in entries:
            values[field.name] = _decode(hints[field.name], entries[field.name], where)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise DocumentError(where, "is missing")
    return kind(**values)


def _expect(kind: type[T], document: object, path: str) -> T:
    is_wrong = not isinstance(document, kind) or (kind in (int, float) and isinstance(document, bool))
    if is_wrong:
        raise DocumentError(path, f"expected {kind.__name__}, found {type(document).__name__}")
    return cast("T", document)
