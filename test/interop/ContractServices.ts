/**
 * The services of `contract_services.py` and `contract_postponed.py`, written with our schemas. Fields, methods and
 * their order are those of the Python classes.
 */
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Schema from "effect/Schema"

/** The names of a class of `contract_services.py`; they order the published types and name recursive ones. */
const named = (className: string) => ({ qualifiedName: `contract_services.${className}` })
const untagged = (className: string) => ({ ...named(className), untagged: true })

class Empty extends Wire.Class<Empty>("contracts/Empty", named("Empty"))({}) {}

class Scalars extends Wire.Class<Scalars>(
  "contracts/Scalars",
  named("Scalars")
)({
  text: Wire.String,
  count: Wire.Int,
  ratio: Wire.Float64,
  flag: Wire.Bool,
  data: Wire.Bytes,
  annotated: Wire.Int64
}) {}

const ScalarService = Service.make("ScalarService").add(
  Rpc.unary("echo", { request: Scalars, response: Scalars }),
  Rpc.unary("ping", { request: Empty, response: Empty })
)

class Leaf extends Wire.Class<Leaf>("contracts/deep/Leaf", named("Leaf"))({ name: Wire.String }) {}

class Branch extends Wire.Class<Branch>(
  "contracts/deep/Branch",
  named("Branch")
)({
  leaf: Leaf,
  leaves: Wire.List(Leaf),
  maybe: Wire.Optional(Leaf)
}) {}

class Tree extends Wire.Class<Tree>(
  "contracts/deep/Tree",
  named("Tree")
)({
  left: Branch,
  right: Wire.Optional(Branch),
  by_name: Wire.Record(Branch),
  shared: Leaf
}) {}

const NestedService = Service.make("NestedService").add(
  Rpc.unary("grow", { request: Leaf, response: Tree }),
  Rpc.unary("prune", { request: Tree, response: Branch })
)

class Containers extends Wire.Class<Containers>(
  "contracts/Containers",
  named("Containers")
)({
  texts: Wire.List(Wire.String),
  builtin: Wire.List(Wire.Int),
  blobs: Wire.List(Wire.Bytes),
  leaves: Wire.List(Leaf),
  ids: Wire.Set(Wire.Int),
  scores: Wire.Record(Wire.Float64),
  flags: Wire.Map(Wire.Int, Wire.Bool),
  by_name: Wire.Record(Leaf),
  matrix: Wire.List(Wire.List(Wire.Int)),
  groups: Wire.Record(Wire.List(Wire.String)),
  gaps: Wire.List(Wire.Optional(Wire.Int)),
  bare_list: Wire.AnyList,
  bare_set: Wire.Any,
  bare_dict: Wire.AnyRecord
}) {}

const ContainerService = Service.make("ContainerService").add(
  Rpc.unary("echo", { request: Containers, response: Containers })
)

class Optionals extends Wire.Class<Optionals>(
  "contracts/Optionals",
  named("Optionals")
)({
  text: Wire.Optional(Wire.String),
  count: Wire.Optional(Wire.Int),
  ratio: Wire.Optional(Wire.Float64),
  flag: Wire.Optional(Wire.Bool),
  data: Wire.Optional(Wire.Bytes),
  leaf: Wire.Optional(Leaf),
  texts: Wire.Optional(Wire.List(Wire.String)),
  scores: Wire.Optional(Wire.Record(Wire.Int)),
  leaves: Wire.Optional(Wire.Record(Leaf)),
  anything: Wire.Optional(Wire.Any)
}) {}

const OptionalService = Service.make("OptionalService").add(
  Rpc.unary("echo", { request: Optionals, response: Optionals })
)

const Color = Wire.Enum("contract_services/Color", { RED: "red", BLUE: "blue" }, untagged("Color"))
const Level = Wire.Enum("contract_services/Level", { LOW: 1, HIGH: 10 }, untagged("Level"))

class Untyped extends Wire.Class<Untyped>(
  "contracts/Untyped",
  named("Untyped")
)({
  anything: Wire.Any,
  thing: Wire.Any,
  either: Wire.Any,
  maybe_either: Wire.Any,
  pair: Wire.Any,
  color: Color,
  maybe_color: Wire.Optional(Color),
  colors: Wire.List(Color),
  levels: Wire.Record(Level),
  extras: Wire.Record(Wire.Any)
}) {}

const UntypedService = Service.make("UntypedService").add(Rpc.unary("echo", { request: Untyped, response: Untyped }))

class Times extends Wire.Class<Times>(
  "contracts/Times",
  named("Times")
)({
  at: Wire.Timestamp,
  day: Wire.Date,
  maybe_at: Wire.Optional(Wire.Timestamp),
  days: Wire.List(Wire.Date)
}) {}

const TimeService = Service.make("TimeService").add(Rpc.unary("echo", { request: Times, response: Times }))

class Widths extends Wire.Class<Widths>(
  "contracts/Widths",
  named("Widths")
)({
  int8: Wire.Int8,
  int16: Wire.Int16,
  int32: Wire.Int32,
  int64: Wire.Any,
  fixed_int32: Wire.Any,
  fixed_int64: Wire.Any,
  tagged_int64: Wire.Any,
  uint8: Wire.Uint8,
  uint16: Wire.Uint16,
  uint32: Wire.Uint32,
  uint64: Wire.Uint64,
  fixed_uint32: Wire.Any,
  fixed_uint64: Wire.Any,
  tagged_uint64: Wire.Any,
  float32: Wire.Float32,
  float64: Wire.Any,
  maybe_int32: Wire.Optional(Wire.Int32),
  int32s: Wire.List(Wire.Int32),
  by_name: Wire.Record(Wire.Float32)
}) {}

const WidthService = Service.make("WidthService").add(Rpc.unary("echo", { request: Widths, response: Widths }))

class Plain extends Wire.Class<Plain>("contract_services/Plain", untagged("Plain"))({ name: Wire.String }) {}

class Inner extends Wire.Class<Inner>("contract_services/Outer.Inner", untagged("Outer.Inner"))({ plain: Plain }) {}

class Bare extends Wire.Class<Bare>("Bare", named("Bare"))({ inner: Inner }) {}

const UntaggedService = Service.make("UntaggedService").add(
  Rpc.unary("wrap", { request: Plain, response: Inner }),
  Rpc.unary("strip", { request: Bare, response: Plain })
)

class Base extends Wire.Class<Base>("contracts/Base", named("Base"))({ id: Wire.Int, name: Wire.String }) {}

class Derived extends Wire.Class<Derived>(
  "contracts/Derived",
  named("Derived")
)({
  ...Base.fields,
  extra: Wire.Float64
}) {}

const InheritanceService = Service.make("InheritanceService").add(
  Rpc.unary("inherited", { request: Base, response: Derived }),
  Rpc.unary("own", { request: Derived, response: Base })
)

const PatternService = Service.make("PatternService", { version: 2 }).add(
  Rpc.unary("unary", { request: Leaf, response: Scalars, timeout: "30 seconds", idempotent: true }),
  Rpc.serverStream("server", { request: Leaf, response: Scalars, timeout: "12500 millis" }),
  Rpc.clientStream("client", { request: Leaf, response: Scalars, idempotent: true }),
  Rpc.bidi("bidi", { request: Leaf, response: Scalars, timeout: "1 hour" }),
  Rpc.unary("quick", {
    request: Leaf,
    response: Leaf,
    timeout: "100 millis",
    requires: { kind: "any_of", roles: ["admin", "reader"] }
  }),
  Rpc.unary("keeps_its_name", { request: Leaf, response: Leaf, idempotent: true })
)

const SessionService = Service.make("SessionService", { version: 3, scope: "session" }).add(
  Rpc.unary("open", { request: Leaf, response: Scalars }),
  Rpc.serverStream("follow", { request: Leaf, response: Leaf }),
  Rpc.clientStream("append", { request: Leaf, response: Leaf }),
  Rpc.bidi("live", { request: Leaf, response: Leaf })
)

const ModesService = Service.make("ModesService", { serializationModes: ["json", "xlang"] }).add(
  Rpc.unary("echo", { request: Leaf, response: Leaf })
)

const OddNamesService = Service.make("Prices & Größen 😀", { version: 2_147_483_647 }).add(
  Rpc.unary("length", { request: Wire.String, response: Wire.Int }),
  Rpc.unary("digest", { request: Wire.Bytes, response: Wire.Float64 }),
  Rpc.unary("not_hashed", { request: Wire.Any, response: Wire.Bool }),
  Rpc.unary("𐀀", { request: Leaf, response: Leaf }),
  Rpc.unary("﨑", { request: Leaf, response: Leaf })
)

class Node extends Wire.Class<Node>(
  "contracts/Node",
  named("Node")
)({
  label: Wire.String,
  parent: Wire.Optional(Schema.suspend((): Schema.Codec<Node> => Node)),
  children: Wire.List(Schema.suspend((): Schema.Codec<Node> => Node)),
  index: Wire.Record(Schema.suspend((): Schema.Codec<Node> => Node)),
  leaf: Leaf
}) {}

class Author extends Wire.Class<Author>(
  "contracts/AuthorT",
  named("Author")
)({
  name: Wire.String,
  books: Wire.List(Schema.suspend((): Schema.Codec<Book> => Book))
}) {}

class Book extends Wire.Class<Book>(
  "contracts/BookT",
  named("Book")
)({
  title: Wire.String,
  written_by: Wire.Optional(Author),
  cites: Wire.List(Schema.suspend((): Schema.Codec<Book> => Book))
}) {}

class Shelf extends Wire.Class<Shelf>(
  "contracts/Shelf",
  named("Shelf")
)({
  top: Book,
  everything: Wire.List(Book),
  owner: Wire.Optional(Author)
}) {}

const RecursiveService = Service.make("RecursiveService", { serializationModes: ["json"] }).add(
  Rpc.unary("walk", { request: Node, response: Node }),
  Rpc.unary("shelve", { request: Book, response: Shelf })
)

/** The services of `contract_services.py`. */
export const services: ReadonlyArray<Service.Any> = [
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
  RecursiveService
]

class Question extends Wire.Class<Question>("contracts/Question", { qualifiedName: "contract_postponed.Question" })({
  text: Wire.String,
  tags: Wire.List(Wire.String)
}) {}

class Answer extends Wire.Class<Answer>("contracts/Answer", { qualifiedName: "contract_postponed.Answer" })({
  question: Question
}) {}

/** The service of `contract_postponed.py`, whose annotations stay text. */
export const PostponedService = Service.make("PostponedService", { postponedAnnotations: true }).add(
  Rpc.unary("ask", { request: Question, response: Answer }),
  Rpc.unary("rephrase", { request: Question, response: Question }),
  Rpc.serverStream("suggest", { request: Question, response: Question })
)
