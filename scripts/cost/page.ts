/** docs/cost.md from what a run has counted. */
import { OWNERS, type Counted, type Ledger } from "../../test/support/ledger.ts";
import { DOLLARS, dollarsAMillion, objectRequests, ofObjects } from "./prices.ts";

/** Operations by what people do, in the order of the page. */
const SECTIONS: readonly [title: string, note: string, starts: RegExp][] = [
  [
    "Sends",
    "By socket, one alone: what comes together shares requests, rows and queue messages.",
    /^(direct|group|world)/,
  ],
  [
    "Coming and going",
    "Of somebody with one friend online. The first two minutes cost a row more than the others: that friends were told of the coming.",
    /^(connect|stay|disconnect|be known)/,
  ],
  ["Reading", "Of somebody with 20 conversations, caches warm.", /^(list|history|sync)/],
  ["Changes", "With everybody concerned online.", /^(friend|read|member)/],
];

export function costPage(counted: readonly Counted[], run: string): string {
  const sections = SECTIONS.map(([title, note, starts]) => {
    const rows = counted.filter(({ name }) => starts.test(name));
    return `## ${title}\n\n${note}\n\n${table(rows)}`;
  });
  return `<!-- Written by \`npm run cost\`. Do not edit. -->

# What it costs

Everything that an operation leads to is counted in workerd, with all consumers and the room's alarm, while nothing else goes on
(\`test/workers/cost.test.ts\`, which also fails when a count changes). ${run}

- **Requests** to objects are calls, upgrades, alarms and a twentieth of each frame from a client; frames to clients are free. With
  \`CACHE=upstash\` those to the cache are not made.
- **Rows written** are those of the objects' SQLite and of D1, entries of indexes included, and alarms that are set.
- **SQL** is statements, and how often somebody waited for them; **cache** is commands and pipelines.
- **Dollars** are Cloudflare's list prices for a million of the operation, beyond what the plan includes:
  ${prices()}.
- Not in it: an object's time in memory ($12.50 a million GB-s while it works, nothing while it hibernates), CPU time, storage, and the
  report of metrics, one request in ten seconds by each isolate that is busy.

${sections.join("\n\n")}

What a send costs does not depend on how many members a group has: the rows and the cache commands of a group of 500 are those of
a group of 50 (a watermark that is saved with another change, or by itself, is a row more or less). Each member who is online is one request to that member's object, and nothing is written for it. Members who are away
cost nothing until they come back.
`;
}

function table(rows: readonly Counted[]): string {
  const head = [
    "| | Worker | Requests to objects | Rows written | in SQL | SQL | Queue operations | Cache | $ a million |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ];
  return [...head, ...rows.map(({ name, ledger }) => row(name, ledger))].join("\n");
}

function row(name: string, ledger: Ledger): string {
  const { rowsWritten, requests } = ledger;
  const split = OWNERS.filter((owner) => requests[owner] > 0).map((owner) => `${owner} ${requests[owner]}`);
  const cells = [
    name,
    ledger.workerRequests,
    `${objectRequests(ledger)}${split.length > 0 ? ` (${split.join(", ")})` : ""}`,
    ofObjects(rowsWritten),
    rowsWritten.sql,
    ledger.statements === 0 ? 0 : `${ledger.statements} in ${ledger.sqlTrips}`,
    ledger.queueOperations,
    ledger.commands === 0 ? 0 : `${ledger.commands} in ${ledger.cacheTrips}`,
    dollarsAMillion(ledger).toFixed(2),
  ];
  return `| ${cells.join(" | ")} |`;
}

function prices(): string {
  const { workerRequest, objectRequest, objectRowWritten, objectRowRead, sqlRowWritten, queueOperation } = DOLLARS;
  return (
    `${workerRequest} for Worker requests, ${objectRequest} for requests to objects, ${objectRowWritten} for rows that they write and\n  ` +
    `${objectRowRead} for rows that they read, the same for D1 (${sqlRowWritten}), ${queueOperation} for queue operations`
  );
}
