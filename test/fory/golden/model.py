"""Types and values as JSON, shared with the TypeScript tests, and their Python counterparts for pyfory.

A type is the name of a scalar kind, "any", a named type ("ns/Name"), or an object: {"list": T}, {"set": T},
{"map": [K, V]}, {"optional": T}. Named types are declared as {"struct": [[field, T], ...]} or {"enum": [value, ...]}.

A value is null, a boolean, a string, or an object that says what it is: {"int": "1"}, {"float": "<hex, big-endian>"},
{"bytes": "<hex>"}, {"list": [...]}, {"set": [...]}, {"map": [[k, v], ...]}, {"struct": [name, {field: value}]},
{"enum": [name, ordinal]}, {"timestamp": "<ns>"}, {"date": days}, {"array": [kind, "<hex, little-endian>"]}.
"""

import array
import dataclasses
import datetime
import enum
import itertools
import math
import struct
import sys
import types
import typing

import pyfory

SCALARS = {
    "bool": bool,
    "int8": pyfory.int8,
    "int16": pyfory.int16,
    "int32": pyfory.int32,
    "fixedInt32": pyfory.fixed_int32,
    "int": int,
    "int64": pyfory.int64,
    "fixedInt64": pyfory.fixed_int64,
    "taggedInt64": pyfory.tagged_int64,
    "uint8": pyfory.uint8,
    "uint16": pyfory.uint16,
    "uint32": pyfory.uint32,
    "fixedUint32": pyfory.fixed_uint32,
    "uint64": pyfory.uint64,
    "fixedUint64": pyfory.fixed_uint64,
    "taggedUint64": pyfory.tagged_uint64,
    "float32": pyfory.float32,
    "float64": float,
    "string": str,
    "bytes": bytes,
    "timestamp": datetime.datetime,
    "timestampNanos": datetime.datetime,
    "date": datetime.date,
    "int8Array": pyfory.int8_array,
    "int16Array": pyfory.int16_array,
    "int32Array": pyfory.int32_array,
    "int64Array": pyfory.int64_array,
    "uint8Array": pyfory.uint8_array,
    "uint16Array": pyfory.uint16_array,
    "uint32Array": pyfory.uint32_array,
    "uint64Array": pyfory.uint64_array,
    "float32Array": pyfory.float32_array,
    "float64Array": pyfory.float64_array,
    "any": typing.Any,
}

TYPE_CODES = {
    "int8Array": "b",
    "int16Array": "h",
    "int32Array": "i",
    "int64Array": "l",
    "uint8Array": "B",
    "uint16Array": "H",
    "uint32Array": "I",
    "uint64Array": "L",
    "float32Array": "f",
    "float64Array": "d",
}

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
serial = itertools.count()


def split(tag):
    namespace, _, name = tag.rpartition("/")
    return namespace, name


class World:
    """The named types of one case, as Python classes registered with a Fory of their own."""

    def __init__(self, declarations):
        self.module = types.ModuleType(f"golden_{next(serial)}")
        sys.modules[self.module.__name__] = self.module
        self.identifiers = {tag: f"Type{index}" for index, tag in enumerate(declarations)}
        self.classes = {}
        for tag, declaration in declarations.items():
            if "enum" in declaration:
                members = [(f"MEMBER{index}", value) for index, value in enumerate(declaration["enum"])]
                self.add(tag, enum.Enum(self.identifiers[tag], members, module=self.module.__name__))
        for tag, declaration in declarations.items():
            if "struct" in declaration:
                fields = [(name, self.annotation(field)) for name, field in declaration["struct"]]
                created = dataclasses.make_dataclass(self.identifiers[tag], fields)
                created.__module__ = self.module.__name__
                self.add(tag, created)
        self.fory = pyfory.Fory(xlang=True)
        for tag, created in self.classes.items():
            namespace, name = split(tag)
            self.fory.register_type(created, namespace=namespace, typename=name)

    def add(self, tag, created):
        self.classes[tag] = created
        setattr(self.module, self.identifiers[tag], created)

    def close(self):
        del sys.modules[self.module.__name__]

    def annotation(self, described):
        if isinstance(described, str):
            return SCALARS.get(described) or typing.ForwardRef(self.identifiers[described])
        (kind, inner), = described.items()
        if kind == "optional":
            return typing.Optional[self.annotation(inner)]
        if kind == "list":
            return typing.List[self.annotation(inner)]
        if kind == "set":
            return typing.Set[self.annotation(inner)]
        return typing.Dict[self.annotation(inner[0]), self.annotation(inner[1])]

    def schema_hash(self, tag):
        """The hash of a struct that was used already."""
        return getattr(self.fory.type_resolver.get_type_info(self.classes[tag]).serializer, "_hash", None)

    def value(self, described):
        if described is None or isinstance(described, (bool, str)):
            return described
        (kind, inner), = described.items()
        if kind == "int":
            return int(inner)
        if kind == "float":
            return struct.unpack(">d", bytes.fromhex(inner))[0]
        if kind == "bytes":
            return bytes.fromhex(inner)
        if kind == "list":
            return [self.value(element) for element in inner]
        if kind == "set":
            return {self.value(element) for element in inner}
        if kind == "map":
            return {self.value(key): self.value(value) for key, value in inner}
        if kind == "struct":
            return self.classes[inner[0]](**{name: self.value(value) for name, value in inner[1].items()})
        if kind == "enum":
            return list(self.classes[inner[0]])[inner[1]]
        if kind == "timestamp":
            return EPOCH + datetime.timedelta(microseconds=int(inner) // 1000)
        if kind == "date":
            return EPOCH.date() + datetime.timedelta(days=inner)
        made = array.array(TYPE_CODES[inner[0]])
        made.frombytes(bytes.fromhex(inner[1]))
        return made


def same(a, b):
    """Equality that tells 1 from True and 1.0, and takes NaN for itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or (math.isnan(a) and math.isnan(b)))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, set):
        return a == b or same(sorted(a), sorted(b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(x, y) and same(v, w) for (x, v), (y, w) in zip(a.items(), b.items())
        )
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return a == b
