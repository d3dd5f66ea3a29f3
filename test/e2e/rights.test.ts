/** The table of rights (rights/table.ts), asked cell by cell. */
import { afterAll, beforeAll, describe, it } from "vitest";
import { CLIENT_FRAMES } from "../../src/protocol/frames.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { HOW_TO_ASK } from "./rights/routes.ts";
import { Sockets } from "./rights/frames.ts";
import { SETTINGS, Stage } from "./rights/stage.ts";
import { ACTORS, FRAME_ROWS, REFUSALS, ROUTE_ROWS, UNDOCUMENTED, type Actor, type Row } from "./rights/table.ts";
import { call, notTyped, upgradeStatus, type Answer } from "./support/raw.ts";

/** Of one operation in the document, what is looked at here. */
interface Operation {
  readonly responses: Record<string, unknown>;
}

let server: TestServer;
let stage: Stage;
let sockets: Sockets;
/** Where Kafka is the bus this route is there, and knows the bridge by its signature alone. */
const BUS_ROUTE = "POST /internal/bus/{topic}";
const ALL_UNSIGNED = Object.fromEntries(ACTORS.map((actor) => [actor, "401"]));

/** By method and path, as the table names them. */
let documented: Map<string, Operation>;

beforeAll(async () => {
  server = await startServer({ env: SETTINGS });
  stage = await Stage.build(server);
  sockets = new Sockets(stage);
  const { json } = await call(server, "GET", "/openapi.json");
  const paths = json?.["paths"] as Record<string, Record<string, Operation>>;
  documented = new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [
        `${method.toUpperCase()} ${path}`,
        operation,
      ]),
    ),
  );
});
afterAll(async () => {
  await sockets?.close();
  await server?.dispose();
});

describe("the table", () => {
  it("has every route, and no other", ({ expect }) => {
    const inTable = new Set(ROUTE_ROWS.map((row) => row.what));
    const there = new Set([...documented.keys(), ...UNDOCUMENTED]);
    expect([...there].filter((route) => !inTable.has(route))).toEqual([]);
    expect([...inTable].filter((route) => !there.has(route))).toEqual([]);
    expect(Object.keys(HOW_TO_ASK).toSorted()).toEqual(ROUTE_ROWS.map((row) => row.name).toSorted());
  });

  it("has every client frame, on both kinds of socket, and no other", ({ expect }) => {
    const types = Object.keys(CLIENT_FRAMES).toSorted();
    const [own, room] = [FRAME_ROWS.filter((row) => !isOnRoomSocket(row)), FRAME_ROWS.filter(isOnRoomSocket)];
    expect([...new Set(own.map((row) => row.what))].toSorted()).toEqual(types);
    expect(room.map((row) => row.what).toSorted()).toEqual(types);
  });

  it("says something known in every cell", ({ expect }) => {
    const known = [...Object.keys(REFUSALS), "101", "200", "201", "202", "ok"];
    for (const row of [...ROUTE_ROWS, ...FRAME_ROWS]) {
      const unknown = Object.values(row.cells).filter((cell) => !known.includes(cell));
      expect(unknown, row.name).toEqual([]);
    }
  });
});

describe("routes", () => {
  it.for(titled(ROUTE_ROWS))("%s", async ([, row], { expect }) => {
    const problems: string[] = [];
    const answers: Record<string, string> = {};
    for (const actor of ACTORS) {
      const { cell, problem } = await askRoute(row, actor);
      answers[actor] = cell;
      problems.push(...(problem === undefined ? [] : [`${actor}: ${problem}`]));
    }
    expect(answers).toEqual(server.engines !== undefined && row.name === BUS_ROUTE ? ALL_UNSIGNED : row.cells);
    expect(problems).toEqual([]);
  });
});

describe("frames", () => {
  it.for(titled(FRAME_ROWS))("%s", async ([, row], { expect }) => {
    const asked = ACTORS.map(async (actor) => [actor, keyOf(await sockets.ask(row.name, actor))]);
    expect(Object.fromEntries(await Promise.all(asked))).toEqual(row.cells);
  });

  it("were not refused later, when they seemed to be taken", async ({ expect }) => {
    // Behind everything that was sent before it.
    await Promise.all(ACTORS.map((actor) => sockets.ask("sync", actor)));
    expect(sockets.lateRefusals()).toEqual([]);
  });
});

/** A name that is printed as a property would be cut. */
function titled(rows: readonly Row[]): [name: string, row: Row][] {
  return rows.map((row) => [row.name, row]);
}

function isOnRoomSocket(row: Row): boolean {
  return row.name.endsWith("· room socket");
}

/** One cell: what came, in the words of the table, and what is wrong with the form of it. */
async function askRoute(row: Row, actor: Actor): Promise<{ cell: string; problem: string | undefined }> {
  const asking = HOW_TO_ASK[row.name];
  if (asking === undefined) {
    return { cell: "?", problem: "nothing says how to ask" };
  }
  const { params = {}, query, body, token, spoils, undo } = await asking(stage, actor);
  const [method = "", template = ""] = row.what.split(" ");
  const bare = template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(params[name] ?? ""));
  const path = query === undefined ? bare : `${bare}?${query}`;
  const credentials = { ...stage.credentials(actor), ...(token === undefined ? {} : { token }) };
  if (template.startsWith("/ws")) {
    const headers = {
      ...credentials.headers,
      ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
    };
    const upgrade = await upgradeStatus(server, { path, protocols: ["gochat.v1"], headers });
    const name = upgrade.status === 101 ? "101" : (JSON.parse(upgrade.body) as { error: { name: string } }).error.name;
    return { cell: keyOf(name), problem: undefined };
  }
  const answer = await call(server, method, path, { ...credentials, ...(body === undefined ? {} : { body }) });
  const isSuccess = answer.status < 300;
  if (isSuccess && spoils === true) {
    stage.spoiled();
  }
  if (isSuccess) {
    await undo?.(answer);
  }
  const error = answer.json?.["error"] as { name: string } | undefined;
  return { cell: keyOf(isSuccess ? String(answer.status) : (error?.name ?? "?")), problem: formOf(row, answer) };
}

/** What is wrong with an answer, whatever it says: its status is not documented, or the error is not of the table. */
function formOf(row: Row, answer: Answer): string | undefined {
  const operation = documented.get(row.what);
  if (operation !== undefined && operation.responses[String(answer.status)] === undefined) {
    return `${answer.status} is not documented`;
  }
  return answer.status < 300 ? undefined : notTyped(answer);
}

/** An error's name as the table writes it; what is none stays as it is. */
function keyOf(name: string): string {
  return Object.entries(REFUSALS).find(([, error]) => error === name)?.[0] ?? name;
}
