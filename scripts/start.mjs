/**
 * `npm start`. This first file is plain JavaScript that any Node since 14 can read, so that a Node that is too old for
 * the rest gets a sentence instead of a syntax error.
 */

// 22.18 is the first that runs TypeScript files as they are; workerd's tools need 22.12.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `GoChat Edge needs Node 22.18 or newer, and this is ${process.versions.node}: ` +
      "run `npm ci` and start it with `npm start`, which brings its own Node.",
  );
  process.exit(1);
}

// Type stripping and node:sqlite are announced as experimental at each start; the exact Node version is pinned.
process.removeAllListeners("warning");
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") {
    console.error(`${warning.name}: ${warning.message}`);
  }
});

// Until the real ones are in place: nothing has begun yet, so there is nothing to undo.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  process.on(signal, () => process.exit(0));
}

try {
  const { start } = await import("./start/main.ts");
  await start();
} catch (error) {
  if (error?.code === "ERR_MODULE_NOT_FOUND") {
    console.error(`A package is missing: run \`npm ci\` first. (${error.message.split("\n")[0]})`);
  } else {
    console.error(error);
  }
  process.exit(1);
}
