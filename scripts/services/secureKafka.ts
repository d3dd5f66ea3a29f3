/** A Kafka that wants TLS and a password (SASL), as hosted ones do. Its certificate is its own authority. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { freePort } from "./freePort.ts";
import { kafkaOf } from "./kafka.ts";
import type { Recipe } from "./service.ts";

/** For tests, like everything here. */
export const SECURE_KAFKA_USER = { username: "bridge", password: "a-password-of-tests" } as const;

const MODULES = "org.apache.kafka.common.security";
const SCRAM_MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/** In the server's folder: the certificate that a client has to trust. */
export const certificateIn = (folder: string): string => join(folder, "kafka.pem");

/** Reached as `localhost`, the name in its certificate. */
export const secureKafka: Recipe = kafkaOf({
  name: "Kafka with TLS",

  async properties(folder, port) {
    const keystore = makeCertificate(folder);
    const [controllerPort, internalPort] = [await freePort(), await freePort()];
    const internal = `INTERNAL://127.0.0.1:${internalPort}`;
    const { username, password } = SECURE_KAFKA_USER;
    return {
      "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
      listeners: `SECURE://127.0.0.1:${port},${internal},CONTROLLER://127.0.0.1:${controllerPort}`,
      "advertised.listeners": `SECURE://localhost:${port},${internal}`,
      "listener.security.protocol.map": "SECURE:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "INTERNAL",
      "listener.name.secure.ssl.keystore.type": "PKCS12",
      "listener.name.secure.ssl.keystore.location": keystore,
      "listener.name.secure.ssl.keystore.password": password,
      "listener.name.secure.sasl.enabled.mechanisms": ["PLAIN", ...SCRAM_MECHANISMS].join(","),
      "listener.name.secure.plain.sasl.jaas.config": `${MODULES}.plain.PlainLoginModule required user_${username}="${password}";`,
      ...Object.fromEntries(
        SCRAM_MECHANISMS.map((mechanism) => [
          `listener.name.secure.${mechanism.toLowerCase()}.sasl.jaas.config`,
          `${MODULES}.scram.ScramLoginModule required;`,
        ]),
      ),
    };
  },

  formatArgs: SCRAM_MECHANISMS.flatMap((mechanism) => [
    "--add-scram",
    `${mechanism}=[name=${SECURE_KAFKA_USER.username},password=${SECURE_KAFKA_USER.password}]`,
  ]),
});

/** @returns the key store; `keytool` comes with Java, which Kafka needs anyway */
function makeCertificate(folder: string): string {
  const keystore = join(folder, "kafka.p12");
  const store = ["-alias", "kafka", "-keystore", keystore, "-storepass", SECURE_KAFKA_USER.password];
  keytool("-genkeypair", ...store, ...KIND, ...NAMES);
  keytool("-exportcert", "-rfc", ...store, "-file", certificateIn(folder));
  return keystore;
}

const KIND = ["-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1"];
const NAMES = ["-dname", "CN=localhost", "-ext", "san=dns:localhost,ip:127.0.0.1", "-validity", "30"];

function keytool(...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync("keytool", args, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`keytool could not make a certificate: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  }
}
