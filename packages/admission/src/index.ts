/** @since 0.1.0 */
export * as ConsumerAdmission from "./ConsumerAdmission.ts"
