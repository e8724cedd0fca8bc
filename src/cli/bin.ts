#!/usr/bin/env node
// Uses old syntax and no imports, so that a Node that is too old for the rest can still report it.
const found = process.versions.node.split('.');
const major = Number(found[0]);
const minor = Number(found[1]);

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`monocore: Node.js 20.19 or newer is needed, this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else {
  import('./main.ts').then((cli) =>
    cli.main(process.argv).then((exitCode) => {
      process.exitCode = exitCode;
    }),
  );
}
