/**
 * Makes objects with these members, in this order, and this prototype, from the list of their values: a generated
 * constructor gives all of them one shape, which a loop over names does not.
 *
 * @param prototype that of plain objects when absent
 */
export const objectFactory = (
  names: ReadonlyArray<string>,
  prototype: object = Object.prototype
): ((values: ReadonlyArray<unknown>) => object) => {
  const define = (target: object, key: string, value: unknown): unknown =>
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
  const assignments = names.map((name, i) => {
    const key = JSON.stringify(name)
    // Assignment would run a setter, or fail on a getter, that the prototype has under this name.
    return name in prototype ? `define(this, ${key}, v[${i}])` : `this[${key}] = v[${i}]`
  })
  const body = `"use strict"
function Fields(v) {
${assignments.join("\n")}
}
Fields.prototype = prototype
return (v) => new Fields(v)`
  // oxlint-disable-next-line no-new-func -- names enter as JSON string literals, so that none of them can become code
  return new Function("define", "prototype", body)(define, prototype) as (values: ReadonlyArray<unknown>) => object
}
