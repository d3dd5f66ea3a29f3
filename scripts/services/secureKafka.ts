/**
 * A Kafka that wants TLS and a password (SASL), as hosted ones do, and one that wants TLS and a certificate of its client. Each certificate is
 * its own authority.
 */
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
    const { username, password } = SECURE_KAFKA_USER;
    return {
      ...(await listeners("SASL_SSL", folder, port)),
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

/** In the server's folder: the certificate of a client that is let in, and its key. */
export const clientCertificateIn = (folder: string): { cert: string; key: string } => ({
  cert: join(folder, "client.pem"),
  key: join(folder, "client.key"),
});

/** Lets in whoever has the client's certificate, and nobody else. Reached as `localhost`. */
export const mutualKafka: Recipe = kafkaOf({
  name: "Kafka with certificates of clients",

  async properties(folder, port) {
    return {
      ...(await listeners("SSL", folder, port)),
      "listener.name.secure.ssl.client.auth": "required",
      "listener.name.secure.ssl.truststore.type": "PKCS12",
      "listener.name.secure.ssl.truststore.location": makeClientCertificate(folder),
      "listener.name.secure.ssl.truststore.password": SECURE_KAFKA_USER.password,
    };
  },

  formatArgs: [],
});

/** One listener for clients, with a certificate; the broker talks to itself behind it. */
async function listeners(protocol: "SSL" | "SASL_SSL", folder: string, port: number) {
  const [controllerPort, internalPort] = [await freePort(), await freePort()];
  const internal = `INTERNAL://127.0.0.1:${internalPort}`;
  return {
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `SECURE://127.0.0.1:${port},${internal},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `SECURE://localhost:${port},${internal}`,
    "listener.security.protocol.map": `SECURE:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    "inter.broker.listener.name": "INTERNAL",
    "listener.name.secure.ssl.keystore.type": "PKCS12",
    "listener.name.secure.ssl.keystore.location": makeCertificate(folder),
    "listener.name.secure.ssl.keystore.password": SECURE_KAFKA_USER.password,
  };
}

/** @returns the key store; `keytool` comes with Java, which Kafka needs anyway */
function makeCertificate(folder: string): string {
  const keystore = join(folder, "kafka.p12");
  const store = ["-alias", "kafka", "-keystore", keystore, "-storepass", SECURE_KAFKA_USER.password];
  tool("keytool", "-genkeypair", ...store, ...KIND, ...NAMES);
  tool("keytool", "-exportcert", "-rfc", ...store, "-file", certificateIn(folder));
  return keystore;
}

/** @returns the trust store with it. `keytool` gives no key away, and Debian's Java brings `openssl` along. */
function makeClientCertificate(folder: string): string {
  const { cert, key } = clientCertificateIn(folder);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  tool("openssl", "req", "-x509", ...curve, "-keyout", key, "-out", cert, "-subj", "/CN=bridge", "-days", "30");
  const truststore = join(folder, "clients.p12");
  const store = ["-keystore", truststore, "-storetype", "PKCS12", "-storepass", SECURE_KAFKA_USER.password];
  tool("keytool", "-importcert", "-noprompt", "-alias", "client", "-file", cert, ...store);
  return truststore;
}

const KIND = ["-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1"];
const NAMES = ["-dname", "CN=localhost", "-ext", "san=dns:localhost,ip:127.0.0.1", "-validity", "30"];

function tool(name: string, ...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${name} could not make a certificate: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  }
}
