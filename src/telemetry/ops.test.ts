/** ops/alerts.yml and ops/dashboard.json name what the code measures, and nothing else. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { parse } from "yaml";
import { METERS, SCRAPED } from "./metrics.ts";

const OPS = join(import.meta.dirname, "../../ops");
const FAMILIES = [...METERS, ...SCRAPED];

/** Every sample that a scrape may have, without labels. */
const SAMPLES = new Set(
  FAMILIES.flatMap(({ name, kind }) =>
    kind === "histogram" ? ["bucket", "sum", "count"].map((suffix) => `${name}_${suffix}`) : [name],
  ),
);

type Rule = {
  alert: string;
  expr: string;
  for?: string;
  labels?: { severity?: string };
  annotations?: { summary?: string };
};

function read(file: string): string {
  return readFileSync(join(OPS, file), "utf8");
}

function rules(): Rule[] {
  const { groups } = parse(read("alerts.yml")) as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
}

function namesIn(expression: string): string[] {
  return expression.match(/\b(?:gochat|kafka)_[a-z0-9_]+/g) ?? [];
}

describe("what is measured", () => {
  it("has names and help as Prometheus wants them, each once", ({ expect }) => {
    for (const { name, kind, help } of FAMILIES) {
      expect(name).toMatch(/^(?:gochat|kafka)_[a-z0-9_]+$/);
      expect(name.endsWith("_total"), name).toBe(kind === "counter");
      expect(help, name).toMatch(/^[^\n\\]+\.$/);
    }
    expect(new Set(FAMILIES.map(({ name }) => name)).size).toBe(FAMILIES.length);
  });

  it("includes what dashboards of other installations may rely on", ({ expect }) => {
    const names = FAMILIES.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        "gochat_message_send_total",
        "gochat_message_send_failures_total",
        "gochat_message_e2e_duration_seconds",
        "gochat_message_persist_duration_seconds",
        "gochat_conversation_load_duration_seconds",
        "kafka_consumer_lag_sum",
      ]),
    );
  });
});

describe("ops/alerts.yml", () => {
  it("names only what is measured, and says how bad it is and what", ({ expect }) => {
    expect(rules().length).toBeGreaterThan(0);
    for (const { alert, expr, labels, annotations } of rules()) {
      const names = namesIn(expr);
      expect(names.length, alert).toBeGreaterThan(0);
      expect(
        names.filter((name) => !SAMPLES.has(name)),
        alert,
      ).toEqual([]);
      expect(labels?.severity, alert).toMatch(/^(?:warning|critical)$/);
      expect(annotations?.summary, alert).toBeDefined();
    }
    expect(new Set(rules().map(({ alert }) => alert)).size).toBe(rules().length);
  });

  it("passes promtool, and fires when it should, where promtool is installed", { timeout: 30_000 }, ({ expect }) => {
    for (const [command, file] of [
      ["check", "alerts.yml"],
      ["test", "alerts.test.yml"],
    ] as const) {
      const run = spawnSync("promtool", [command, "rules", file], { cwd: OPS, encoding: "utf8" });
      // Not installed: .ci/run installs it, and here the test above has to do.
      const isMissing = run.error !== undefined && "code" in run.error && run.error.code === "ENOENT";
      expect(isMissing || run.status === 0, `${run.stdout}${run.stderr}`).toBe(true);
    }
  });
});

describe("ops/dashboard.json", () => {
  const panels = (JSON.parse(read("dashboard.json")) as { panels: { title: string; targets: { expr: string }[] }[] })
    .panels;

  it("names only what is measured", ({ expect }) => {
    for (const { title, targets } of panels) {
      for (const { expr } of targets) {
        expect(namesIn(expr).length, title).toBeGreaterThan(0);
        expect(
          namesIn(expr).filter((name) => !SAMPLES.has(name)),
          title,
        ).toEqual([]);
      }
    }
  });

  it("shows every family", ({ expect }) => {
    const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr)));
    const missing = FAMILIES.filter(({ name }) => !shown.some((one) => one === name || one.startsWith(`${name}_`)));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});
