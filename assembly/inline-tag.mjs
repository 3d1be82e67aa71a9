/**
 * A step of the build: a function whose doc comment has the tag `@inline` is inlined wherever it is called, and one with
 * the tag `@noinline` nowhere.
 *
 * AssemblyScript's decorator of the first name cannot stand before a function in a file that other tools of TypeScript
 * read. The second is for what seldom happens: the optimizer would inline it into its only caller, and keep registers
 * of that free for its calls.
 */
import { Node, NodeKind } from "assemblyscript";

const PREFIX = "assembly/";
/** A doc comment with a tag, right before the declaration. */
const TAGGED = /\/\*\*(?:(?!\*\/)[^])*@(inline|noinline)\b(?:(?!\*\/)[^])*\*\/\s*(?:export\s+)?$/;

export default class InlineTag {
  #outOfLine = [];

  afterParse({ sources }) {
    for (const { internalPath, statements, text } of sources) {
      if (!internalPath.startsWith(PREFIX)) continue;
      for (const statement of statements) {
        if (statement.kind !== NodeKind.FunctionDeclaration) continue;
        const { range } = statement;
        const tag = TAGGED.exec(text.slice(Math.max(0, range.start - 2000), range.start))?.[1];
        if (tag === "noinline") this.#outOfLine.push(`${internalPath}/${statement.name.text}`);
        if (tag !== "inline") continue;
        const name = Node.createIdentifierExpression("inline", range);
        (statement.decorators ??= []).push(Node.createDecorator(name, null, range));
      }
    }
  }

  /** The compiler is done: `module` is Binaryen's, not optimised yet. */
  afterCompile(module) {
    for (const name of this.#outOfLine) {
      this.binaryen.setPassArgument("no-inline", name);
      module.runPasses(["no-inline"]);
    }
  }
}
