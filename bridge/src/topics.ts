/** `npm run bridge:topics`: makes the topics that are not there, with partitions and retention, and widens narrow ones. */
import { describeKafkaError, newAdmin } from "./kafka/client.ts";
import { ensureTopics } from "./kafka/topics.ts";
import { readSettings } from "./settings.ts";

const read = readSettings(process.env);
if (!read.ok || !read.settings.kafka) {
  const isToldWhere = (process.env["KAFKA_BROKERS"] ?? "") !== "";
  const problems = read.ok || !isToldWhere ? ["KAFKA_BROKERS must say where Kafka is."] : read.problems;
  for (const problem of problems) {
    console.error(problem);
  }
  process.exit(1);
}
const admin = newAdmin(read.settings.kafka);
try {
  for (const line of await ensureTopics(admin, read.settings.kafka.topics)) {
    console.log(line);
  }
} catch (error) {
  const brokers = read.settings.kafka.brokers.join(", ");
  console.error(`The topics could not be made at ${brokers}: ${describeKafkaError(error)}.`);
  process.exitCode = 1;
} finally {
  await admin.close();
}
