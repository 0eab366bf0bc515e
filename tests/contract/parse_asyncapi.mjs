// The official parser's word on an AsyncAPI document: `node parse_asyncapi.mjs FILE`.
// Exit code 1 for whatever is worse than information.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const KINDS = ["error", "warning", "information", "hint"];

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));

for (const { severity, code, message, path, range } of diagnostics) {
  console.log(`${KINDS[severity]} at line ${range.start.line + 1} (${path.join(".")}): ${message} [${code}]`);
}
if (document) {
  const parts = ["servers", "channels", "operations", "messages", "schemas"];
  const counts = parts.map((part) => `${document[part]().all().length} ${part}`);
  console.log(`AsyncAPI ${document.version()}, "${document.info().title()}": ${counts.join(", ")}`);
}
const worse = diagnostics.filter(({ severity }) => severity < 2).length;
console.log(`${diagnostics.length} diagnostics, ${worse} of them errors or warnings`);
process.exitCode = document && worse === 0 ? 0 : 1;
