/** Builds the API reference from the doc comments of all modules that can be imported: `npm run docs`, into `reference/`. */
import { globSync } from "node:fs"
import * as path from "node:path"
import { Application, TSConfigReader } from "typedoc"

const root = path.resolve(import.meta.dirname, "../..")

const modules = globSync("packages/*/src/**/*.ts", { cwd: root }).filter(
  (file) => !/\/(internal|proto)\/|\/index\.ts$/.test(file)
)

const app = await Application.bootstrap(
  {
    name: "Aster for Effect",
    entryPoints: modules.map((file) => path.join(root, file)),
    tsconfig: path.join(import.meta.dirname, "tsconfig.json"),
    out: path.join(root, "reference"),
    readme: "none",
    basePath: root,
    displayBasePath: root,
    excludeExternals: true,
    excludeInternal: true,
    disableGit: true,
    gitRevision: "main",
    sourceLinkTemplate: "https://github.com/aster-rpc/aster-effect/blob/main/{path}#L{line}",
    // `npm run check` has the last word on types.
    skipErrorChecking: true,
    // Types of internal modules are described where they are used.
    validation: { invalidLink: true, notExported: false, notDocumented: false }
  },
  [new TSConfigReader()]
)

const project = await app.convert()
if (project === undefined) throw new Error("the sources could not be read")
for (const module of project.children ?? []) {
  module.name = module.name.replace(/^packages\/([\w-]+)\/src\//, "@aster-effect/$1/")
}
app.validate(project)
await app.generateOutputs(project)
if (app.logger.hasErrors() || app.logger.validationWarningCount > 0) process.exitCode = 1
