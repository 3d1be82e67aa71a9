/**
 * A step of the build: a function whose doc comment has the tag `@inline` is inlined wherever it is called.
 *
 * AssemblyScript's decorator of that name cannot stand before a function in a file that other tools of TypeScript read.
 */
import { Node, NodeKind } from "assemblyscript";

const PREFIX = "assembly/";
/** A doc comment with the tag, right before the declaration. */
const TAGGED = /\/\*\*(?:(?!\*\/)[^])*@inline\b(?:(?!\*\/)[^])*\*\/\s*(?:export\s+)?$/;

export default class InlineTag {
  afterParse({ sources }) {
    for (const { internalPath, statements, text } of sources) {
      if (!internalPath.startsWith(PREFIX)) continue;
      for (const statement of statements) {
        if (statement.kind !== NodeKind.FunctionDeclaration) continue;
        const { range } = statement;
        if (!TAGGED.test(text.slice(Math.max(0, range.start - 2000), range.start))) continue;
        const name = Node.createIdentifierExpression("inline", range);
        (statement.decorators ??= []).push(Node.createDecorator(name, null, range));
      }
    }
  }
}
