/** The two halves of a dotted name such as `billing.models.Invoice`. */

/** The class name alone. */
export const simpleName = (qualifiedName: string): string => qualifiedName.slice(qualifiedName.lastIndexOf(".") + 1)

/** What stands before the class name, empty when there is nothing. */
export const modulePath = (qualifiedName: string): string =>
  qualifiedName.slice(0, Math.max(0, qualifiedName.lastIndexOf(".")))
