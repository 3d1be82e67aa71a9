/** The benchmark as one self-contained page: figures, charts by uPlot, and what they mean. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { ChartData } from "./data.js";
import { drawCharts } from "./client.js";
import { STYLE } from "./style.js";

const { resolve } = createRequire(import.meta.url);
const PLOT_SCRIPT = resolve("uplot/dist/uPlot.iife.min.js");
const PLOT_STYLE = resolve("uplot/dist/uPlot.min.css");

export interface Page {
  readonly title: string;
  /** HTML below the title: what was measured, and where. */
  readonly about: string;
  /** HTML of the sections; a chart is drawn into the element with its identifier. */
  readonly sections: readonly string[];
  readonly charts: readonly ChartData[];
}

/** A whole HTML document that needs nothing else. */
export function pageOf({ title, about, sections, charts }: Page): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${readFileSync(PLOT_STYLE, "utf8")}</style>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${about}
${sections.join("\n")}
</main>
<script>${inScript(readFileSync(PLOT_SCRIPT, "utf8"))}</script>
<script>(${inScript(drawCharts.toString())})(${inScript(JSON.stringify(charts))}, uPlot);</script>
</body>
</html>
`;
}

/** Text as HTML. */
export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/** A script's text must not end its element. */
function inScript(text: string): string {
  return text.replaceAll("</", "<\\/");
}

export interface Column {
  readonly head: string;
  /** Words stand on the left, figures on the right. */
  readonly isWord?: boolean;
  /** A heading over this column and those behind it, up to the next that has one. */
  readonly above?: string;
}

/** A line of a table: cells in HTML, or a title of those that follow. */
export type Line = readonly string[] | { readonly title: string };

/** A table. */
export function htmlTable(columns: readonly Column[], lines: readonly Line[]): string {
  const cell = (tag: string, i: number, html: string) =>
    `<${tag}${columns[i]!.isWord === true ? ' class="word"' : ""}>${html}</${tag}>`;
  const head = columns.map(({ head: text }, i) => cell("th", i, escape(text))).join("");
  const body = lines.map((line) =>
    "title" in line
      ? `<tr><th class="word title" colspan="${columns.length}">${escape(line.title)}</th></tr>`
      : `<tr>${line.map((html, i) => cell("td", i, html)).join("")}</tr>`,
  );
  return `<div class="scroll"><table class="figures"><thead>${headingsAbove(columns)}<tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`;
}

function headingsAbove(columns: readonly Column[]): string {
  const starts = columns.flatMap(({ above }, i) => (above === undefined ? [] : [i]));
  if (starts.length === 0) return "";
  const headings = starts.map((start, i) => {
    const span = (starts[i + 1] ?? columns.length) - start;
    return `<th class="above" colspan="${span}">${escape(columns[start]!.above!)}</th>`;
  });
  return `<tr><th colspan="${starts[0]!}"></th>${headings.join("")}</tr>`;
}

/** @param note - HTML */
export function section(title: string, note: string, body: string): string {
  return `<section><h2>${escape(title)}</h2><p class="note">${note}</p>${body}</section>`;
}

/** A bar. @param part - of its column, 0 to 1 */
export function bar(part: number): string {
  return `<span class="bar" style="width:${(part * 100).toFixed(1)}%"></span>`;
}
