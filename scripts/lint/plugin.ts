/**
 * Lint rules of this repository that oxlint has no setting for. oxlint loads this file itself (`jsPlugins` in
 * .oxlintrc.jsonc); scripts/lint/plugin.test.ts shows that each rule can fail.
 */

/** The part of a syntax node that the rules look at. */
interface SyntaxNode {
  readonly type: string;
  readonly async?: boolean;
  readonly await?: boolean;
  readonly name?: string;
  readonly typeName?: SyntaxNode;
  readonly source?: { readonly value?: unknown };
  readonly specifiers?: readonly SyntaxNode[];
}

interface Comment {
  readonly value: string;
}

interface RuleContext {
  readonly sourceCode: { getAllComments(): Comment[] };
  report(problem: { node: SyntaxNode | Comment; message: string }): void;
}

const IMPURE_TYPES = new Set(["Date", "Promise", "PromiseLike", "AsyncIterable", "AsyncGenerator", "AsyncIterator"]);
const DISABLE_COMMENT = /^\s*(?:oxlint|eslint)-disable/;

/**
 * The core holds no Promise: it is step functions that the objects and the simulator both run, and a step that could
 * wait would run differently in the two. Values (Date.now, Math.random, timers) are forbidden by oxlint's own
 * `no-restricted-*` rules; this one adds what they cannot see: `async`, `await` and the types.
 */
const coreIsPure = {
  create(context: RuleContext) {
    const refuseAsync = (node: SyntaxNode): void => {
      if (node.async === true) {
        context.report({ node, message: "The core is synchronous: no async function here." });
      }
    };
    return {
      FunctionDeclaration: refuseAsync,
      FunctionExpression: refuseAsync,
      ArrowFunctionExpression: refuseAsync,
      AwaitExpression(node: SyntaxNode): void {
        context.report({ node, message: "The core is synchronous: no await here." });
      },
      ForOfStatement(node: SyntaxNode): void {
        if (node.await === true) {
          context.report({ node, message: "The core is synchronous: no for await here." });
        }
      },
      ImportExpression(node: SyntaxNode): void {
        context.report({ node, message: "The core is synchronous: no dynamic import here." });
      },
      TSTypeReference(node: SyntaxNode): void {
        const name = node.typeName?.name;
        if (name !== undefined && IMPURE_TYPES.has(name)) {
          context.report({ node, message: `The core knows no ${name}: times are numbers, and nothing waits.` });
        }
      },
    };
  },
};

/** A switched-off rule needs its reason after `--`, so that the next reader can judge whether it still holds. */
const disableNeedsReason = {
  create(context: RuleContext) {
    return {
      Program(): void {
        for (const comment of context.sourceCode.getAllComments()) {
          if (DISABLE_COMMENT.test(comment.value) && !/--\s*\S/.test(comment.value)) {
            context.report({ node: comment, message: "Say after -- why the rule is switched off here." });
          }
        }
      },
    };
  },
};

/** zod's `z` is one object that holds all of zod, so nothing that is not used can be left out of the bundle. */
const zodNamespace = {
  create(context: RuleContext) {
    return {
      ImportDeclaration(node: SyntaxNode): void {
        const whole = node.specifiers?.every((specifier) => specifier.type === "ImportNamespaceSpecifier");
        if (node.source?.value === "zod" && whole !== true) {
          context.report({ node, message: 'Write: import * as z from "zod".' });
        }
      },
    };
  },
};

export default {
  meta: { name: "gochat" },
  rules: { "core-is-pure": coreIsPure, "disable-needs-reason": disableNeedsReason, "zod-namespace": zodNamespace },
};
