/** The recorded script in workerd and in the simulator: the same acknowledgements, sequences and frames. */
import { describe, it } from "vitest";
import { DIRECT, GROUP, WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { directConversationId, newGroupId } from "../../src/platform/ids.ts";
import type { Result } from "../../src/protocol/errors.ts";
import {
  type Operation,
  recordedScript,
  runScript,
  SCRIPT_CONVERSATIONS,
  SCRIPT_PEOPLE,
  type ScriptBackend,
} from "./support/orderedScript.ts";
import { SimulatorBackend } from "./support/orderedSimulator.ts";
import { actorOf, must, newUserId, roomStub } from "./support/harness.ts";
import { connect, type TestSocket } from "./support/socket.ts";

/** A thousand operations one after the other, each seen by everybody before the next. */
const WITHIN_MS = 180_000;

class WorkerdBackend implements ScriptBackend {
  readonly #users = Array.from({ length: SCRIPT_PEOPLE }, newUserId);
  readonly #sockets: TestSocket[] = [];
  readonly #ids: string[] = [];
  /** The world is one for all tests: what others said before is not ours. */
  #worldBefore = 0;

  async begin(): Promise<void> {
    for (const userId of this.#users) {
      this.#sockets.push(await connect(userId));
    }
    this.#worldBefore = (await roomStub(WORLD_ROOM_ID).readLog(0, 0)).headSeqId;
    for (const conversation of SCRIPT_CONVERSATIONS) {
      if (conversation.kind === "world") {
        this.#ids.push(WORLD_ROOM_ID);
        continue;
      }
      const memberIds = conversation.people.map((person) => this.#user(person));
      const [a = "", b = ""] = memberIds;
      const id = conversation.kind === "direct" ? directConversationId(a, b) : newGroupId(Date.now());
      const room = roomStub(id);
      const type = conversation.kind === "direct" ? DIRECT : GROUP;
      await room.settled(must(await room.create({ type, memberIds })).outboxIds);
      this.#ids.push(id);
    }
  }

  async run(operation: Operation): Promise<string> {
    const id = this.#ids[operation.conversation] ?? "";
    const room = roomStub(id);
    const actor = actorOf(this.#user(operation.person));
    switch (operation.op) {
      case "send":
        return await this.#send(operation, id);
      case "read": {
        const marked = await room.markRead(actor, operation.seqId, false);
        return said(marked, ({ value }) => `read ${value.readSeqId} unread ${value.unreadCount}`);
      }
      case "add":
        return said(await room.addMembers(actor, [this.#user(operation.target)]), () => "added");
      case "remove":
        return said(await room.removeMember(actor, this.#user(operation.target)), () => "removed");
    }
  }

  async received(person: number, conversation: number, seqId: number): Promise<void> {
    const id = this.#ids[conversation] ?? "";
    const wanted = seqId + (id === WORLD_ROOM_ID ? this.#worldBefore : 0);
    await this.#socket(person).until(`${seqId} in ${id}`, () => this.#socket(person).pushed(id).includes(wanted));
  }

  frames(person: number, conversation: number): string[] {
    const id = this.#ids[conversation];
    const before = id === WORLD_ROOM_ID ? this.#worldBefore : 0;
    return this.#socket(person)
      .frames.flatMap((frame) =>
        frame.type === "new-message" ? [frame.data.message] : frame.type === "new-messages" ? frame.data.messages : [],
      )
      .filter((message) => message.conversationId === id)
      .map(
        ({ seqId, senderId, content }) =>
          `${seqId - before} from ${this.#users.indexOf(senderId)}: ${JSON.stringify(content)}`,
      );
  }

  async #send({ person, key, text }: Extract<Operation, { op: "send" }>, id: string): Promise<string> {
    const socket = this.#socket(person);
    const before = socket.frames.length;
    const data = { clientMsgId: key, conversationId: id, messageType: "text", content: text } as const;
    socket.send({ type: "send-message", data });
    let answer: string | undefined;
    await socket.until(`an answer to ${key}`, () => {
      for (const frame of socket.frames.slice(before)) {
        if (frame.type === "message-ack" && frame.data.clientMsgId === key) {
          answer = `sent ${(frame.data.seqId ?? 0) - (id === WORLD_ROOM_ID ? this.#worldBefore : 0)}`;
        } else if (frame.type === "message-error" && frame.data.clientMsgId === key) {
          answer = frame.data.error.name;
        }
      }
      return answer !== undefined;
    });
    return answer ?? "";
  }

  #user(person: number): string {
    return this.#users[person] ?? "";
  }

  #socket(person: number): TestSocket {
    const socket = this.#sockets[person];
    if (socket === undefined) {
      throw new Error("nobody there");
    }
    return socket;
  }
}

function said<T>(result: Result<T>, text: (value: T) => string): string {
  return result.ok ? text(result.value) : result.fault.name;
}

describe("a recorded script of a thousand operations", () => {
  it(
    "gives the same acknowledgements, sequences and frames in the simulator and in workerd",
    async ({ expect }) => {
      const script = recordedScript();
      const simulated = await runScript(script, new SimulatorBackend());
      const real = await runScript(script, new WorkerdBackend());
      expect(real.answers).toEqual(simulated.answers);
      expect(real.frames).toEqual(simulated.frames);
      // Every kind of answer is among them, else the script proves little.
      const kinds = new Set(real.answers.map((answer) => answer.split(" ")[0]));
      for (const kind of ["sent", "read", "added", "removed", "DUPLICATE_MESSAGE", "CONVERSATION_NOT_FOUND"]) {
        expect(kinds).toContain(kind);
      }
    },
    WITHIN_MS,
  );
});
