import { describe, it } from "vitest";
import { kindOf } from "./statements.ts";

describe("a statement", () => {
  it.for([
    ["BEGIN", "begin"],
    ["begin;", "begin"],
    ["/* hi */ -- there\n# and here\n start  transaction read only", "begin"],
    ["COMMIT", "commit"],
    ["rollback", "rollback"],
    ["ROLLBACK WORK", "rollback"],
    ["rollback to savepoint sp1", "plain"],
    ["rollback work to sp1", "plain"],
    ["savepoint sp1", "plain"],
    ["set @a = 1", "session"],
    ["SET SESSION sql_mode = ''", "session"],
    ["create temporary table t (a int)", "session"],
    ["create table temporary_t (a int)", "plain"],
    ["select get_lock('a', 1)", "session"],
    ["select @a := 1", "session"],
    ["lock tables t write", "session"],
    ["insert into t values (get_lock('a', 1))", "session"],
    ["insert into t values ('it''s get_lock(1) \\\\'), (\"@a := 1\")", "plain"],
    ["insert into t values ('\\'', release_lock('a'))", "session"],
    ["update t set begin_at = 1", "plain"],
    ["select 'begin'", "plain"],
    ["settle", "plain"],
    ["kill 7", "refused"],
    ["use other", "refused"],
    ["load data infile 'x' into table t", "refused"],
    ["", "plain"],
  ] as const)("%j is %s", ([sql, kind], { expect }) => {
    expect(kindOf(sql)).toBe(kind);
  });
});
