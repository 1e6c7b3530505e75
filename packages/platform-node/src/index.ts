export * as NodeRuntime from "./NodeRuntime.ts"
