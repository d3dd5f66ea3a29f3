/** A MariaDB and a Redis that want TLS. Their certificates are their own authorities. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "./certificates.ts";
import { mariadb } from "./mariadb.ts";
import { redis } from "./redis.ts";
import type { Recipe } from "./service.ts";

/** In the server's folder: the certificate that a client has to trust. */
export const tlsCertificateIn = (folder: string): string => join(folder, "server.pem");

const keyIn = (folder: string): string => join(folder, "server.key");

/** Its certificate is for the name `localhost`. */
export const tlsRedis: Recipe = {
  ...redis,
  name: "Redis with TLS",
  prepare(folder) {
    makeTlsCertificate(folder, "localhost");
    return Promise.resolve();
  },
  command(folder, port) {
    const { file, args } = redis.command(folder, 0);
    const files = ["--tls-cert-file", tlsCertificateIn(folder), "--tls-key-file", keyIn(folder)];
    return { file, args: [...args, "--tls-port", String(port), ...files, "--tls-auth-clients", "no"] };
  },
};

/** @param host the name in its certificate */
export function tlsMariadb(host: string): Recipe {
  return {
    ...mariadb,
    name: "MariaDB with TLS",
    async prepare(folder, port) {
      await mariadb.prepare?.(folder, port);
      makeTlsCertificate(folder, host);
    },
    command(folder, port) {
      const { file, args } = mariadb.command(folder, port);
      const files = [`--ssl-cert=${tlsCertificateIn(folder)}`, `--ssl-key=${keyIn(folder)}`];
      return { file, args: [...args, ...files, "--require-secure-transport=ON"] };
    },
  };
}

/** What the server was given at its first start it keeps: clients trust that. */
function makeTlsCertificate(folder: string, host: string): void {
  const cert = tlsCertificateIn(folder);
  if (!existsSync(cert)) {
    makeCertificate({ cert, key: keyIn(folder) }, host);
  }
}
