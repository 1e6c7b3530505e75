"""Services that only exist to be hashed: between them they use every annotation that shapes a contract id.

Module and class names are part of the identity of untagged and of recursive types; keep them.
"""

import datetime
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, AsyncIterator, ClassVar, Dict, List, Optional, Set, Tuple, Union

import pyfory
from aster import SerializationMode, any_of, bidi_stream, client_stream, rpc, server_stream, service, wire_type


@wire_type("contracts/Empty")
@dataclass
class Empty:
    pass


@wire_type("contracts/Scalars")
@dataclass
class Scalars:
    text: str = ""
    count: int = 0
    ratio: float = 0.0
    flag: bool = False
    data: bytes = b""
    annotated: Annotated[int, "a note"] = 0


@service(name="ScalarService", version=1)
class ScalarService:
    @rpc
    async def echo(self, req: Scalars) -> Scalars: ...

    @rpc
    async def ping(self, req: Empty) -> Empty: ...


@wire_type("contracts/deep/Leaf")
@dataclass
class Leaf:
    name: str = ""


@wire_type("contracts/deep/Branch")
@dataclass
class Branch:
    leaf: Leaf = field(default_factory=Leaf)
    leaves: List[Leaf] = field(default_factory=list)
    maybe: Optional[Leaf] = None


@wire_type("contracts/deep/Tree")
@dataclass
class Tree:
    left: Branch = field(default_factory=Branch)
    right: Optional[Branch] = None
    by_name: Dict[str, Branch] = field(default_factory=dict)
    shared: Leaf = field(default_factory=Leaf)


@service(name="NestedService", version=1)
class NestedService:
    @rpc
    async def grow(self, req: Leaf) -> Tree: ...

    @rpc
    async def prune(self, req: Tree) -> Branch: ...


@wire_type("contracts/Containers")
@dataclass
class Containers:
    texts: List[str] = field(default_factory=list)
    builtin: list[int] = field(default_factory=list)
    blobs: List[bytes] = field(default_factory=list)
    leaves: List[Leaf] = field(default_factory=list)
    ids: Set[int] = field(default_factory=set)
    scores: Dict[str, float] = field(default_factory=dict)
    flags: Dict[int, bool] = field(default_factory=dict)
    by_name: Dict[str, Leaf] = field(default_factory=dict)
    matrix: List[List[int]] = field(default_factory=list)
    groups: Dict[str, List[str]] = field(default_factory=dict)
    gaps: List[Optional[int]] = field(default_factory=list)
    bare_list: list = field(default_factory=list)
    bare_set: set = field(default_factory=set)
    bare_dict: dict = field(default_factory=dict)


@service(name="ContainerService", version=1)
class ContainerService:
    @rpc
    async def echo(self, req: Containers) -> Containers: ...


@wire_type("contracts/Optionals")
@dataclass
class Optionals:
    text: Optional[str] = None
    count: Optional[int] = None
    ratio: Optional[float] = None
    flag: Optional[bool] = None
    data: Optional[bytes] = None
    leaf: Optional[Leaf] = None
    texts: Optional[List[str]] = None
    scores: Optional[Dict[str, int]] = None
    leaves: Optional[Dict[str, Leaf]] = None
    anything: Optional[Any] = None


@service(name="OptionalService", version=1)
class OptionalService:
    @rpc
    async def echo(self, req: Optionals) -> Optionals: ...


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


@wire_type("contracts/Untyped")
@dataclass
class Untyped:
    anything: Any = None
    thing: object = None
    either: Union[int, str] = 0
    maybe_either: Optional[Union[int, str]] = None
    pair: Tuple[int, str] = (0, "")
    color: Color = Color.RED
    maybe_color: Optional[Color] = None
    colors: List[Color] = field(default_factory=list)
    levels: Dict[str, Level] = field(default_factory=dict)
    extras: Dict[str, Any] = field(default_factory=dict)


@service(name="UntypedService", version=1)
class UntypedService:
    @rpc
    async def echo(self, req: Untyped) -> Untyped: ...


@wire_type("contracts/Times")
@dataclass
class Times:
    at: datetime.datetime = datetime.datetime(1970, 1, 1)
    day: datetime.date = datetime.date(1970, 1, 1)
    maybe_at: Optional[datetime.datetime] = None
    days: List[datetime.date] = field(default_factory=list)


@service(name="TimeService", version=1)
class TimeService:
    @rpc
    async def echo(self, req: Times) -> Times: ...


@wire_type("contracts/Widths")
@dataclass
class Widths:
    int8: pyfory.int8 = 0
    int16: pyfory.int16 = 0
    int32: pyfory.int32 = 0
    int64: pyfory.int64 = 0
    fixed_int32: pyfory.fixed_int32 = 0
    fixed_int64: pyfory.fixed_int64 = 0
    tagged_int64: pyfory.tagged_int64 = 0
    uint8: pyfory.uint8 = 0
    uint16: pyfory.uint16 = 0
    uint32: pyfory.uint32 = 0
    uint64: pyfory.uint64 = 0
    fixed_uint32: pyfory.fixed_uint32 = 0
    fixed_uint64: pyfory.fixed_uint64 = 0
    tagged_uint64: pyfory.tagged_uint64 = 0
    float32: pyfory.float32 = 0.0
    float64: pyfory.float64 = 0.0
    maybe_int32: Optional[pyfory.int32] = None
    int32s: List[pyfory.int32] = field(default_factory=list)
    by_name: Dict[str, pyfory.float32] = field(default_factory=dict)


@service(name="WidthService", version=1)
class WidthService:
    @rpc
    async def echo(self, req: Widths) -> Widths: ...


@dataclass
class Plain:
    name: str = ""


class Outer:
    @dataclass
    class Inner:
        plain: Plain = field(default_factory=Plain)


@wire_type("Bare")
@dataclass
class Bare:
    """A tag without a namespace."""

    inner: Outer.Inner = field(default_factory=Outer.Inner)


@service
class UntaggedService:
    @rpc
    async def wrap(self, req: Plain) -> Outer.Inner: ...

    @rpc
    async def strip(self, req: Bare) -> Plain: ...


@wire_type("contracts/Base")
@dataclass
class Base:
    kind: ClassVar[str] = "not a field"
    id: int = 0
    name: str = ""


@wire_type("contracts/Derived")
@dataclass
class Derived(Base):
    extra: float = 0.0


class InheritedMethods:
    @rpc
    async def inherited(self, req: Base) -> Derived: ...


@service(name="InheritanceService", version=1)
class InheritanceService(InheritedMethods):
    @rpc
    async def own(self, req: Derived) -> Base: ...


@service(name="PatternService", version=2)
class PatternService:
    @rpc(timeout=30.0, idempotent=True)
    async def unary(self, req: Leaf) -> Scalars: ...

    @server_stream(timeout=12.5)
    async def server(self, req: Leaf) -> AsyncIterator[Scalars]:
        yield

    @client_stream(idempotent=True)
    async def client(self, req: AsyncIterator[Leaf]) -> Scalars: ...

    @bidi_stream(timeout=3600)
    async def bidi(self, req: AsyncIterator[Leaf]) -> AsyncIterator[Scalars]:
        yield

    @rpc(timeout=0.1, requires=any_of("admin", "reader"))
    async def quick(self, req: Leaf) -> Leaf: ...

    @rpc(name="renamed", idempotent=True)
    async def keeps_its_name(self, req: Leaf) -> Leaf: ...


@service(name="SessionService", version=3, scoped="session")
class SessionService:
    def __init__(self, peer: Optional[str] = None): ...

    @rpc
    async def open(self, req: Leaf) -> Scalars: ...

    @server_stream
    async def follow(self, req: Leaf) -> AsyncIterator[Leaf]:
        yield

    @client_stream
    async def append(self, req: AsyncIterator[Leaf]) -> Leaf: ...

    @bidi_stream
    async def live(self, req: AsyncIterator[Leaf]) -> AsyncIterator[Leaf]:
        yield


@service(name="ModesService", version=1, serialization=[SerializationMode.JSON, SerializationMode.XLANG])
class ModesService:
    @rpc
    async def echo(self, req: Leaf) -> Leaf: ...


@service(name="Prices & Größen 😀", version=2147483647)
class OddNamesService:
    """Built-in types as messages, and names that sort differently by UTF-16 unit and by code point."""

    @rpc
    async def length(self, req: str) -> int: ...

    @rpc
    async def digest(self, req: bytes) -> float: ...

    @rpc
    async def not_hashed(self, req: dict) -> bool: ...

    @rpc
    async def 𐀀(self, req: Leaf) -> Leaf: ...

    @rpc
    async def 﨑(self, req: Leaf) -> Leaf: ...


# Recursive types: declaring them with XLANG among the modes overflows the reference's stack.


@wire_type("contracts/Node")
@dataclass
class Node:
    label: str = ""
    parent: Optional["Node"] = None
    children: List["Node"] = field(default_factory=list)
    index: Dict[str, "Node"] = field(default_factory=dict)
    leaf: Leaf = field(default_factory=Leaf)


@wire_type("contracts/AuthorT")
@dataclass
class Author:
    name: str = ""
    books: List["Book"] = field(default_factory=list)


@wire_type("contracts/BookT")
@dataclass
class Book:
    title: str = ""
    written_by: Optional[Author] = None
    cites: List["Book"] = field(default_factory=list)


@wire_type("contracts/Shelf")
@dataclass
class Shelf:
    top: Book = field(default_factory=Book)
    everything: List[Book] = field(default_factory=list)
    owner: Optional[Author] = None


@service(name="RecursiveService", version=1, serialization=[SerializationMode.JSON])
class RecursiveService:
    @rpc
    async def walk(self, req: Node) -> Node: ...

    @rpc
    async def shelve(self, req: Book) -> Shelf: ...


SERVICES = [
    ScalarService,
    NestedService,
    ContainerService,
    OptionalService,
    UntypedService,
    TimeService,
    WidthService,
    UntaggedService,
    InheritanceService,
    PatternService,
    SessionService,
    ModesService,
    OddNamesService,
    RecursiveService,
]
