/** What the page says of a fault run on real servers. */
import type { EngineFault, EngineFaultReport } from "./engineFaults.ts";
import { conditions, ENGINES, seconds } from "./report.ts";
import { PEOPLE } from "./talk.ts";

/** How much of what must not be was found. */
export function wrongInEngines({ faults }: EngineFaultReport): number {
  return faults.reduce((sum, fault) => sum + wrongInFault(fault), 0);
}

function wrongInFault({ wrong, refused }: EngineFault): number {
  return refused + Object.values(wrong).reduce((a, b) => a + b, 0);
}

export function renderEngines(reports: readonly EngineFaultReport[], secondsStopped: number): string {
  const examples = reports.flatMap((report) => report.examples);
  return `${ENGINES}

\`SQL=planetscale\`, \`CACHE=upstash\`, \`BUS=kafka\`: a Kafka of one node, a MariaDB and a Redis of their own, with one bridge in front of
them. ${PEOPLE} people talk through the SDK, each a send after the other, while each of these in turn is stopped (SIGSTOP, ${secondsStopped} s), killed
with \`kill -9\` and started again, or emptied; a killed bridge takes SQL, cache and bus away at once. The bridge is killed while SQL is made slow, so that
batches are on their way. After each fault every promise is checked as above.

${conditions()}.
${reports.map(table).join("\n")}
Otherwise wrong: as above, rows of SQL that differ from the rooms' logs among it. Caught up: every send is answered, everybody has everything, no record of any
topic waits for its group in Kafka, lists are whole, log-ins work.
${examples.length === 0 ? "" : `\nExamples:\n\n${examples.map((line) => `- ${line}`).join("\n")}\n`}`;
}

function table({ seed, upstream, faults, messages }: EngineFaultReport): string {
  const rows = faults.map((fault) => {
    const { name, lastedMs, accepted, refused, lag, caughtUpAfterMs, wrong } = fault;
    const { lost, twice, sqlDiffers, ...rest } = wrong;
    const others = Object.values(rest).reduce((sum, count) => sum + count, 0);
    const cells = [
      name,
      seconds(lastedMs),
      accepted,
      refused,
      lost,
      twice,
      sqlDiffers,
      others,
      lag,
      seconds(caughtUpAfterMs),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return `
\`UPSTREAM=${upstream}\`, seed ${seed}; ${messages} messages in the histories at the end.

| | away, s | sends accepted | given up | lost | twice | SQL differs | otherwise wrong | waiting in Kafka at its end | caught up after, s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
