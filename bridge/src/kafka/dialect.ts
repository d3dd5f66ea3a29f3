/**
 * The Upstash Kafka REST dialect in front of a Kafka. The hosted service ended in March 2025; paths and shapes are those
 * of its documentation and of the package @upstash/kafka. A committed offset is Kafka's: the next to read.
 */
import { Hono, type Context } from "hono";
import type { Deps, Dialect } from "../dialect.ts";
import { demand, mayTouch, userOf } from "./access.ts";
import { describeKafkaError, type KafkaAdmin, newAdmin, newProducer } from "./client.ts";
import type { FetchedRecord } from "./fetching.ts";
import { chosenGroups } from "./groups.ts";
import { ConsumerInstances } from "./instances.ts";
import type { InstanceOptions } from "./instance.ts";
import { lagMetric } from "./lag.ts";
import { KafkaProblem, problemBody, problemOf } from "./problems.ts";
import { newProduce, type Produce } from "./produce.ts";
import { startPushing } from "./push/index.ts";
import { committedOf, fetcher, offsetsAt, topicsOf } from "./reading.ts";
import { body, param, query } from "./requests.ts";
import * as schemas from "./schemas.ts";
import type { KafkaSettings, KafkaUser } from "./settings.ts";

const OWN_PATH = /^\/(?:produce|consume|commit|committed|fetch|offsets|topics|consumers|delete-consumer)(?:\/|$)/;
const CONSUME_TIMEOUT_MS = 1_000;
const SUCCESS = { result: "Success", status: 200 };

export function kafkaDialect(settings: KafkaSettings, deps: Deps): Dialect {
  const producer = newProducer(settings);
  const admin = newAdmin(settings);
  const instances = new ConsumerInstances(settings);
  const pushing = settings.push && startPushing(settings, settings.push, producer, deps);
  lagMetric(deps.metrics, admin, chosenGroups(settings.push?.groups ?? []).chosen);
  return {
    name: "kafka",
    owns: (path) => OWN_PATH.test(path),
    admits: (authorization) => userOf(settings, authorization) !== undefined,
    problem: problemBody,
    routes: kafkaRoutes({ settings, produce: newProduce(producer), admin, instances, deps }),
    health: async () => {
      try {
        await admin.listTopics();
      } catch (error) {
        throw new Error(describeKafkaError(error), { cause: error });
      }
    },
    drain: async (withinMs) => pushing?.close(withinMs),
    close: async () => {
      await instances.close();
      await Promise.all([producer.close(true), admin.close()].map((closed) => closed.catch(() => undefined)));
    },
  };
}

interface Parts {
  readonly settings: KafkaSettings;
  readonly produce: Produce;
  readonly admin: KafkaAdmin;
  readonly instances: ConsumerInstances;
  readonly deps: Deps;
}

function kafkaRoutes({ settings, produce, admin, instances, deps }: Parts): Hono {
  const routes = new Hono();
  const fetchRecords = fetcher(settings);
  const user = (c: Context): KafkaUser => {
    const found = userOf(settings, c.req.header("authorization"));
    if (!found) {
      throw new KafkaProblem(401, "wrong or missing credentials");
    }
    return found;
  };

  /** Runs the handler, and answers what it throws in the dialect's words. */
  const on = (methods: ("GET" | "POST" | "DELETE")[], path: string, handle: (c: Context) => Promise<object>): void => {
    routes.on(methods, path, async (c) => {
      try {
        return c.json(await handle(c));
      } catch (error) {
        const problem = problemOf(error);
        if (!(error instanceof KafkaProblem)) {
          deps.log("warn", "kafka refused a request", { dialect: "kafka", error: describeKafkaError(error) });
        }
        return c.json(problemBody(problem.status, problem.message), problem.status);
      }
    });
  };

  const produceAll = (c: Context, messages: readonly schemas.Message[], topic?: string) => {
    const addressed = messages.map((message) => ({ ...message, topic: topic ?? message.topic ?? "" }));
    if (addressed.some((message) => message.topic === "")) {
      throw new KafkaProblem(400, "every message must name its topic");
    }
    demand(user(c), "produce", [...new Set(addressed.map((message) => message.topic))]);
    return produce(addressed);
  };

  on(["GET", "POST"], "/produce", async (c) => produceAll(c, await body(c, schemas.ProduceBody)));
  on(["GET", "POST"], "/produce/:topic", async (c) =>
    produceAll(c, await body(c, schemas.ProduceBody), param(c, "topic", schemas.TopicName)),
  );
  on(["GET"], "/produce/:topic/:message{.+}", async (c) => {
    const key = c.req.query("key");
    const message = { value: c.req.param("message") ?? "", ...(key === undefined ? {} : { key }) };
    const [metadata] = await produceAll(c, [message], param(c, "topic", schemas.TopicName));
    return metadata ?? {};
  });

  const consume = async (c: Context, topics: readonly string[], timeoutMs: number): Promise<object> => {
    if (topics.length === 0) {
      throw new KafkaProblem(400, "a topic must be named");
    }
    demand(user(c), "consume", topics);
    await demandTopics(admin, topics);
    const instance = await instances.open(instanceOptions(c, topics));
    return (await instance.consume(timeoutMs)).map(messageOf);
  };
  on(["GET"], "/consume/:group/:instance/:topic", async (c) => {
    const timeoutMs = query(c, "timeout", schemas.TimeoutQuery) ?? CONSUME_TIMEOUT_MS;
    return consume(c, [param(c, "topic", schemas.TopicName)], timeoutMs);
  });
  on(["GET", "POST"], "/consume/:group/:instance", async (c) => {
    const { topic, topics = [], timeout = CONSUME_TIMEOUT_MS } = await body(c, schemas.ConsumeBody);
    return consume(c, [...new Set(topic === undefined ? topics : [topic, ...topics])], timeout);
  });

  on(["GET", "POST"], "/commit/:group/:instance", async (c) => {
    const offsets = await body(c, schemas.CommitBody);
    const instance = instances.find(param(c, "group", schemas.GroupName), param(c, "instance", schemas.GroupName));
    demand(user(c), "consume", [...(instance?.options.topics ?? []), ...offsets.map(({ topic }) => topic)]);
    if (!instance) {
      throw new KafkaProblem(404, "there is no such consumer");
    }
    await instance.commit(offsets);
    return SUCCESS;
  });

  on(["GET", "POST"], "/committed/:group/:instance", async (c) => {
    const wanted = await body(c, schemas.PartitionsBody);
    demand(user(c), "consume", [...new Set(wanted.map(({ topic }) => topic))]);
    return committedOf(admin, param(c, "group", schemas.GroupName), wanted);
  });

  on(["GET", "POST", "DELETE"], "/delete-consumer/:group/:instance", async (c) => {
    const instance = instances.find(param(c, "group", schemas.GroupName), param(c, "instance", schemas.GroupName));
    demand(user(c), "consume", [...(instance?.options.topics ?? [])]);
    await instance?.close();
    return SUCCESS;
  });

  on(["GET", "POST"], "/fetch", async (c) => {
    const { topic, partition, offset, topicPartitionOffsets = [], timeout } = await body(c, schemas.FetchBody);
    const single = topic !== undefined && partition !== undefined && offset !== undefined;
    const positions = single ? [{ topic, partition, offset }, ...topicPartitionOffsets] : topicPartitionOffsets;
    if (positions.length === 0) {
      throw new KafkaProblem(400, "topic, partition and offset must be given");
    }
    demand(user(c), "consume", [...new Set(positions.map((one) => one.topic))]);
    return (await fetchRecords(positions, timeout ?? CONSUME_TIMEOUT_MS)).map(messageOf);
  });

  on(["GET", "POST"], "/offsets/:when", async (c) => {
    const wanted = await body(c, schemas.PartitionsBody);
    demand(user(c), "consume", [...new Set(wanted.map(({ topic }) => topic))]);
    return offsetsAt(admin, wanted, param(c, "when", schemas.When));
  });

  on(["GET"], "/topics", async (c) => {
    const own = user(c);
    return Object.fromEntries(Object.entries(await topicsOf(admin)).filter(([topic]) => mayTouch(own, topic)));
  });

  on(["GET"], "/consumers", async (c) => {
    const own = user(c);
    demand(own, "consume", []);
    const seen = instances.all.filter(({ options }) => options.topics.every((topic) => mayTouch(own, topic)));
    return [...Map.groupBy(seen, ({ options }) => options.group)].map(([name, members]) => ({
      name,
      instances: members.map(({ options, assignments }) => ({ name: options.name, topics: assignments })),
    }));
  });

  routes.all("*", (c) => {
    const isKnown = routes.routes.some(({ method, path }) => method !== "ALL" && matches(path, c.req.path));
    const [status, message] = isKnown ? ([405, "method not allowed"] as const) : ([404, "not found"] as const);
    return c.json(problemBody(status, message), status);
  });
  return routes;
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return wanted.length === given.length && wanted.every((part, index) => part.startsWith(":") || part === given[index]);
}

/** A group that waits for a topic which does not exist would wait for ever. */
async function demandTopics(admin: KafkaAdmin, topics: readonly string[]): Promise<void> {
  await admin.metadata({ topics: [...topics] });
}

function messageOf(record: FetchedRecord): object {
  return {
    topic: record.topic,
    partition: record.partition,
    offset: Number(record.offset),
    timestamp: record.timestampMs,
    key: record.key?.toString("utf8") ?? "",
    value: record.value?.toString("utf8") ?? "",
    headers: record.headers.map(([key, value]) => ({ key: key?.toString() ?? "", value: value?.toString() ?? "" })),
  };
}

const AUTO_COMMIT_MS = 5_000;
const SESSION_MS = 120_000;
const MAX_SESSION_MS = 600_000;

/** The headers count only for the request that makes the instance. */
function instanceOptions(c: Context, topics: readonly string[]): InstanceOptions {
  const number = (header: string, preset: number): number => {
    const given = Number(c.req.header(header) ?? preset);
    if (!Number.isInteger(given) || given < 1 || given > MAX_SESSION_MS) {
      throw new KafkaProblem(400, `${header} must be a number of milliseconds`);
    }
    return given;
  };
  const reset = c.req.header("kafka-auto-offset-reset") ?? "latest";
  if (reset !== "latest" && reset !== "earliest" && reset !== "none") {
    throw new KafkaProblem(400, "Kafka-Auto-Offset-Reset must be latest, earliest or none");
  }
  return {
    group: param(c, "group", schemas.GroupName),
    name: param(c, "instance", schemas.GroupName),
    topics,
    reset,
    autoCommit: c.req.header("kafka-enable-auto-commit")?.toLowerCase() !== "false",
    autoCommitMs: number("kafka-auto-commit-interval", AUTO_COMMIT_MS),
    idleMs: number("kafka-session-timeout-ms", SESSION_MS),
  };
}
