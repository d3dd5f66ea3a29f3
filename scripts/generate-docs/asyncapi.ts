/** docs/asyncapi.yaml: the sockets and the bus as an AsyncAPI 3.0 document. */
import { readFileSync } from "node:fs";
import { stringify } from "yaml";
import * as z from "zod";
import { EVENT_TOPICS, EVENTS, TOPIC_NAMES, TOPICS, type TopicName } from "../../src/protocol/events.ts";
import {
  CLIENT_FRAMES,
  FrameId,
  ROOM_SOCKET_FRAMES,
  SERVER_FRAMES,
  type ClientFrameType,
  type ServerFrameType,
} from "../../src/protocol/frames.ts";
import { ConversationId } from "../../src/protocol/primitives.ts";

type Json = { [key: string]: unknown };
type Ref = { $ref: string };

const clientTypes = Object.keys(CLIENT_FRAMES) as ClientFrameType[];
const serverTypes = Object.keys(SERVER_FRAMES) as ServerFrameType[];
const roomTypes: readonly ServerFrameType[] = ROOM_SOCKET_FRAMES;
const userTypes = serverTypes.filter((type) => type !== "room");

/** What the records are that are no events, and that only this system reads and writes. */
const INTERNAL_TOPICS: { [Topic in TopicName]?: string } = {
  "gochat.messages.upstream": "Sends on their way to their room (UPSTREAM=topic)",
  "gochat.messages.persist": "What rooms hand to SQL, batched by conversation",
  "gochat.tasks.fanout": "Messages of one window of a big room, for its shards or members",
};

/**
 * JSON Schemas of everything that has an id, with references between them. As input schemas: they leave room for the
 * fields that come with later releases.
 */
function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of named()) {
    registry.add(schema, { id });
  }
  const { schemas } = z.toJSONSchema(registry, {
    target: "draft-7",
    io: "input",
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, plain(schema)]));
}

/** The schemas that frames and events lead to, by the id that they carry. */
function named(): Map<string, z.core.$ZodType> {
  const found = new Map<string, z.core.$ZodType>();
  const seen = new Set<z.core.$ZodType>();
  const visit = (value: unknown): void => {
    if (value instanceof z.ZodType) {
      if (seen.has(value)) {
        return;
      }
      seen.add(value);
      const id = value.meta()?.id;
      if (id !== undefined) {
        found.set(id, value);
      }
      Object.values(value.def).forEach(visit);
      if (value instanceof z.ZodObject) {
        Object.values(value.shape).forEach(visit);
      }
    } else if (Array.isArray(value)) {
      value.forEach(visit);
    }
  };
  [...Object.values(CLIENT_FRAMES), ...Object.values(SERVER_FRAMES), ...Object.values(EVENTS)].forEach(visit);
  return found;
}

/** Without the generator's marks, which mean nothing inside this document. A property called `id` is no mark. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) {
    return schema.map(plain);
  }
  if (typeof schema !== "object" || schema === null) {
    return schema;
  }
  const kept = Object.entries(schema).filter(
    ([key, value]) => key !== "$schema" && key !== "$id" && (key !== "id" || typeof value !== "string"),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, plain(value)]));
}

function schemaOf(schema: z.ZodType): unknown {
  const id = schema.meta()?.id;
  return id === undefined ? inline(schema) : { $ref: `#/components/schemas/${id}` };
}

/** A schema without an id of its own, its named parts as references. */
function inline(schema: z.ZodType): unknown {
  const registry = z.registry<{ id: string }>();
  for (const [id, part] of named()) {
    registry.add(part, { id });
  }
  registry.add(schema, { id: "self" });
  const { schemas } = z.toJSONSchema(registry, {
    target: "draft-7",
    io: "input",
    uri: (id) => `#/components/schemas/${id}`,
  });
  return plain(schemas["self"]);
}

function frameMessage(type: string, data: z.ZodType, marks: Json): Json {
  const empty = data instanceof z.ZodUndefined || data instanceof z.ZodUnknown;
  return {
    name: type,
    title: type,
    contentType: "application/json",
    payload: {
      type: "object",
      properties: { type: { const: type }, ...(empty ? {} : { data: schemaOf(data) }), ...marks },
      required: empty ? ["type"] : ["type", "data"],
    },
  };
}

function messages(): Json {
  const id = { description: "The client's own name of the frame", ...(inline(FrameId) as Json) };
  const ref = { type: "string", description: "`id` of the frame that this answers" };
  return Object.fromEntries([
    ...clientTypes.map((type) => [`client.${type}`, frameMessage(type, CLIENT_FRAMES[type], { id })]),
    ...serverTypes.map((type) => [
      `server.${type}`,
      frameMessage(type, SERVER_FRAMES[type], type === "pong" || type === "error" ? {} : { ref }),
    ]),
    ...EVENT_TOPICS.flatMap((topic) =>
      EVENTS[topic].options.map((option) => {
        const name = option.shape.event_type.value;
        return [name, { name, title: name, contentType: "application/json", payload: schemaOf(option) }];
      }),
    ),
  ]);
}

function refs(path: string, keys: readonly string[]): Record<string, Ref> {
  return Object.fromEntries(keys.map((key) => [key, { $ref: `#/${path}/${key}` }]));
}

function inChannel(channel: string, keys: readonly string[]): Ref[] {
  return keys.map((key) => ({ $ref: `#/channels/${channel}/messages/${key}` }));
}

const fromClient = clientTypes.map((type) => `client.${type}`);
const toUser = userTypes.map((type) => `server.${type}`);
const toRoom = roomTypes.map((type) => `server.${type}`);

function channels(): Json {
  return {
    user: {
      address: "/ws",
      title: "A user's own socket",
      description:
        "Subprotocol gochat.v1. The access token as `Authorization: Bearer …`, or as a second subprotocol " +
        "`gochat.bearer.<token>`. Text frames `{type, data}` of at most 64 KiB.",
      servers: [{ $ref: "#/servers/gateway" }],
      messages: refs("components/messages", [...fromClient, ...toUser]),
    },
    room: {
      address: "/ws/rooms/{conversationId}",
      title: "A read-only socket of a big room",
      description: "With `?since=seqId` all later messages of the hot window come first. Of clients only `ping`.",
      servers: [{ $ref: "#/servers/gateway" }],
      parameters: { conversationId: { description: ConversationId.meta()?.description } },
      messages: refs("components/messages", ["client.ping", ...toRoom]),
    },
    ...Object.fromEntries(TOPIC_NAMES.map((topic) => [topic, topicChannel(topic)])),
  };
}

function topicChannel(topic: TopicName): Json {
  const about = INTERNAL_TOPICS[topic];
  return {
    address: topic,
    ...(about === undefined ? {} : { description: `${about}. Internal: its records may change with any release.` }),
    servers: [{ $ref: "#/servers/bus" }],
    messages: refs("components/messages", eventTypesOf(topic)),
    "x-queue": TOPICS[topic].queue,
  };
}

function eventTypesOf(topic: TopicName): string[] {
  const events = EVENT_TOPICS.find((name) => name === topic);
  return events === undefined ? [] : EVENTS[events].options.map((option) => option.shape.event_type.value);
}

function operation(action: "send" | "receive", channel: string, keys: readonly string[], summary: string): Json {
  return { action, channel: { $ref: `#/channels/${channel}` }, summary, messages: inChannel(channel, keys) };
}

function operations(): Json {
  return {
    receiveFromUser: operation("receive", "user", fromClient, "What clients send"),
    sendToUser: operation("send", "user", toUser, "What clients get"),
    receiveFromRoom: operation("receive", "room", ["client.ping"], "Keeps the socket open"),
    sendToRoom: operation("send", "room", toRoom, "What readers of a big room get"),
    ...Object.fromEntries(
      EVENT_TOPICS.map((topic) => [
        `publish.${topic}`,
        operation("send", topic, eventTypesOf(topic), "Events, at least once; consumers are idempotent by event_id"),
      ]),
    ),
  };
}

/** The document. @param command that makes it, for the first line */
export function asyncApiYaml(command: string): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const document = {
    asyncapi: "3.0.0",
    info: {
      title: "GoChat Edge: sockets and bus",
      version,
      description:
        "Frames of the WebSockets and events of the bus. Clients ignore types and fields that they do not know. " +
        "REST is in /openapi.json, errors are in docs/errors.md.",
      license: { name: "MIT" },
    },
    defaultContentType: "application/json",
    servers: {
      gateway: { host: "127.0.0.1:8787", protocol: "ws", description: "`npm start` on this machine" },
      bus: {
        host: "127.0.0.1:9092",
        protocol: "kafka",
        description:
          "In this release each topic is a Cloudflare queue, whose name is in `x-queue`; an adapter for Kafka is not here yet.",
      },
    },
    channels: channels(),
    operations: operations(),
    components: { messages: messages(), schemas: componentSchemas() },
  };
  // No anchors: readers of AsyncAPI have `$ref` for what stands in two places.
  return `# Made by: ${command}\n${stringify(document, { aliasDuplicateObjects: false, lineWidth: 120 })}`;
}
