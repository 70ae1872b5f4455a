// What yaml-language-server offers and says with our schemas, asked over LSP as editors do, against a table.
// Usage: node drive.mjs SERVER_MODULE REPOSITORY [--show]. `|` in a text of the table is the cursor.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [server, repository, flag] = process.argv.slice(2);
const root = resolve(repository);
const schemas = pathToFileURL(join(root, "schemas")).href;
const table = JSON.parse(readFileSync(join(root, "tests/editor/table.json"), "utf8"));

const child = spawn(process.execPath, [server, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map();
const judged = new Map();
let unread = Buffer.alloc(0);
let last = 0;

const send = (message) => {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
  child.stdin.write(Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]));
};
const notify = (method, params) => send({ method, params });
const ask = (method, params) =>
  new Promise((answer, refuse) => {
    const id = ++last;
    waiting.set(id, (message) => (message.error ? refuse(new Error(message.error.message)) : answer(message.result)));
    send({ id, method, params });
  });

child.stdout.on("data", (bytes) => {
  unread = Buffer.concat([unread, bytes]);
  for (;;) {
    const end = unread.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(unread.subarray(0, end))[1]);
    if (unread.length < end + 4 + length) return;
    const message = JSON.parse(unread.subarray(end + 4, end + 4 + length));
    unread = unread.subarray(end + 4 + length);
    if (message.method && message.id !== undefined) {
      // What the server asks of an editor: its settings, of which there are none but the defaults.
      const settings = message.method === "workspace/configuration" ? message.params.items.map(() => ({})) : null;
      send({ id: message.id, result: settings });
    } else if (message.method === "textDocument/publishDiagnostics") {
      judged.get(message.params.uri)?.(message.params.diagnostics.map((mistake) => mistake.message));
    } else if (waiting.has(message.id)) {
      waiting.get(message.id)(message);
      waiting.delete(message.id);
    }
  }
});
setTimeout(() => fail("the language server did not answer within two minutes"), 120_000).unref();

function fail(why) {
  console.error(why);
  child.kill();
  process.exit(1);
}

await ask("initialize", {
  processId: process.pid,
  rootUri: pathToFileURL(root).href,
  capabilities: {
    textDocument: {
      completion: { completionItem: { snippetSupport: true, documentationFormat: ["markdown"] } },
      hover: { contentFormat: ["markdown"] },
    },
  },
});
notify("initialized", {});

const wrong = [];
for (const [number, row] of table.entries()) {
  const lines = row.file.split("\n");
  const line = Math.max(0, lines.findIndex((text) => text.includes("|")));
  const character = Math.max(0, lines[line].indexOf("|"));
  lines[line] = lines[line].replace("|", "");
  const text = `# yaml-language-server: $schema=${schemas}/${row.schema ?? "pipeline"}.schema.json\n${lines.join("\n")}`;
  const uri = pathToFileURL(join(root, `case-${number}.yaml`)).href;
  const judgement = new Promise((said) => judged.set(uri, said));
  notify("textDocument/didOpen", { textDocument: { uri, languageId: "yaml", version: 1, text } });
  const at = { textDocument: { uri }, position: { line: line + 1, character } };
  const complain = (what, found) => wrong.push(`${row.what}: ${what}\n  found: ${JSON.stringify(found)}`);
  if (row.offers) {
    const found = await ask("textDocument/completion", at);
    const labels = (found?.items ?? []).map((item) => item.label).sort();
    if (flag) console.log(row.what, JSON.stringify((found?.items ?? []).map((i) => [i.label, i.insertText, i.documentation]), null, 1));
    const absent = row.offers.filter((label) => !labels.includes(label));
    if (absent.length) complain(`does not offer ${absent.join(", ")}`, labels);
    if (row.only && labels.length !== row.offers.length) complain("offers something else, too", labels);
    const inserted = Object.entries(row.inserts ?? {});
    for (const [label, start] of inserted) {
      const item = found.items.find((item) => item.label === label);
      if (!(item?.insertText ?? "").startsWith(start)) complain(`${label} does not insert ${JSON.stringify(start)}`, item?.insertText);
    }
  }
  if (row.says) {
    const found = await ask("textDocument/hover", at);
    const said = found?.contents?.value ?? JSON.stringify(found?.contents ?? null);
    if (flag) console.log(row.what, said);
    for (const part of row.says) if (!said.includes(part)) complain(`the hover does not say "${part}"`, said);
    for (const part of row.silent ?? []) if (said.includes(part)) complain(`the hover says "${part}"`, said);
  }
  if (row.complains) {
    const said = await judgement;
    if (flag) console.log(row.what, said);
    for (const part of row.complains) if (!said.some((message) => message.includes(part))) complain(`no mistake says "${part}"`, said);
    if (said.length !== row.complains.length) complain(`${row.complains.length} mistakes were expected`, said);
  }
  judged.delete(uri);
  notify("textDocument/didClose", { textDocument: { uri } });
}
await ask("shutdown", null);
notify("exit");
if (wrong.length) fail(wrong.join("\n"));
console.log(`${table.length} questions of an editor are answered as the table says`);
