/**
 * Instances of message classes that were not made by `new`.
 *
 * Decoders put the fields into an object with the right prototype, which is all that most classes need. What a
 * constructor adds - private members, initial values of other members - only a constructor can add. Message classes
 * therefore take the finished object in place of their input and answer it, and their subclasses add what is theirs.
 */

type MessageClass = abstract new (input: unknown, options?: unknown) => object

/** The object that a constructor is being run on. */
let finished: object | undefined

const takesFinished = Symbol("takesFinished")

/** The message class on top of `Base`, whose constructor takes finished objects as they are. */
export const takingFinished = (
  Base: new (input: unknown, options?: unknown) => object
): new (input: unknown, options?: unknown) => object =>
  class extends Base {
    static readonly [takesFinished] = true

    constructor(input: unknown, options?: unknown) {
      // oxlint-disable-next-line no-constructor-return -- the subclass adds its members to what is answered here
      if (finished !== undefined && input === finished) return finished
      super(input, options)
    }
  }

/** Runs the constructor of a class on an object that has its fields and prototype. */
export const initializeWith =
  (messageClass: MessageClass) =>
  (value: object): object => {
    const outer = finished
    finished = value
    try {
      return Reflect.construct(messageClass, [value]) as object
    } finally {
      finished = outer
    }
  }

/** Whether a class adds nothing to its parent: by its text, the only place to see private members. */
const addsNothing = (messageClass: object): boolean => /\{\s*\}$/.test(Function.prototype.toString.call(messageClass))

/** `initializeWith`, where a class between `messageClass` and `base` adds something. */
export const initializerOf = (messageClass: MessageClass, base: object): ((value: object) => object) | undefined => {
  for (let parent: unknown = messageClass; parent !== base && typeof parent === "function";) {
    if (!addsNothing(parent)) return initializeWith(messageClass)
    parent = Object.getPrototypeOf(parent)
  }
  return undefined
}

/** The initialized copy, where it is one of an instance of a message class. */
export const initialize = (value: object): object => {
  const { constructor } = value as { readonly constructor?: unknown }
  return typeof constructor === "function" && takesFinished in constructor
    ? initializeWith(constructor as unknown as MessageClass)(value)
    : value
}
