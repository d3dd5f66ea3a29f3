/**
 * A Kafka that wants TLS and a password (SASL), as hosted ones do, and one that wants TLS and a certificate of its client. Each certificate is
 * its own authority.
 */
import { join } from "node:path";
import { makeCertificate, runTool, type CertificateFiles } from "./certificates.ts";
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
export const clientCertificateIn = (folder: string): CertificateFiles => ({
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
      "listener.name.secure.ssl.truststore.location": makeTrustStore(folder),
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
    "listener.name.secure.ssl.keystore.location": makeKeyStore(folder),
    "listener.name.secure.ssl.keystore.password": SECURE_KAFKA_USER.password,
  };
}

/** @returns the key store with the server's certificate; `keytool` comes with Java, which Kafka needs anyway */
function makeKeyStore(folder: string): string {
  const keystore = join(folder, "kafka.p12");
  const store = ["-alias", "kafka", "-keystore", keystore, "-storepass", SECURE_KAFKA_USER.password];
  runTool("keytool", "-genkeypair", ...store, ...KIND, ...NAMES);
  runTool("keytool", "-exportcert", "-rfc", ...store, "-file", certificateIn(folder));
  return keystore;
}

/** @returns the trust store with the client's certificate, which is not of `keytool`: that gives no key away. */
function makeTrustStore(folder: string): string {
  const client = clientCertificateIn(folder);
  makeCertificate(client, "bridge");
  const truststore = join(folder, "clients.p12");
  const store = ["-keystore", truststore, "-storetype", "PKCS12", "-storepass", SECURE_KAFKA_USER.password];
  runTool("keytool", "-importcert", "-noprompt", "-alias", "client", "-file", client.cert, ...store);
  return truststore;
}

const KIND = ["-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1"];
const NAMES = ["-dname", "CN=localhost", "-ext", "san=dns:localhost,ip:127.0.0.1", "-validity", "30"];
