/**
 * Settings with where each came from, identity files, and the files behind them.
 *
 * @since 0.1.0
 */
export * as AsterConfig from "./AsterConfig.ts"
export * as AsterConfigError from "./AsterConfigError.ts"
export * as AtomicFile from "./AtomicFile.ts"
export * as BoundedFile from "./BoundedFile.ts"
export * as ConfigReport from "./ConfigReport.ts"
export * as FileError from "./FileError.ts"
export * as FileLock from "./FileLock.ts"
export * as HomeDirectory from "./HomeDirectory.ts"
export * as IdentityFile from "./IdentityFile.ts"
export * as KernelLock from "./KernelLock.ts"
export * as LogSettings from "./LogSettings.ts"
export * as NodeConfig from "./NodeConfig.ts"
export * as RootPublicKey from "./RootPublicKey.ts"
export * as Settings from "./Settings.ts"
export * as TomlDocument from "./TomlDocument.ts"
export * as TomlEdit from "./TomlEdit.ts"
export * as TomlText from "./TomlText.ts"
