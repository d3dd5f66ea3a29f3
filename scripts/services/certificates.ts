/** Certificates for servers and clients of tests, each its own authority. */
import { spawnSync } from "node:child_process";

export interface CertificateFiles {
  /** Of the certificate and its private key, both as PEM. */
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a certificate for 30 days. Debian's Java brings `openssl` along, and Kafka needs that anyway.
 * @param name of the host, or of the client
 * @throws Error with what `openssl` said
 */
export function makeCertificate({ cert, key }: CertificateFiles, name: string): void {
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  runTool("openssl", "req", "-x509", ...kind, ...names, "-keyout", key, "-out", cert);
}

/** @throws Error with what the tool said, unless it succeeded */
export function runTool(name: string, ...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${name} could not make a certificate: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  }
}
