/** The style of the benchmark page: light and dark, one column, wide tables scroll. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --text: #1d2126; --dim: #5d6670; --line: #dfe2e5; --bar: #2a6fb8; --soft: #eef2f6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1b1f23; --text: #e4e7ea; --dim: #98a1ab; --line: #32383f; --bar: #64a8ee; --soft: #242a30;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 4px 0 12px; max-width: 84ch; }
.dim, .note { color: var(--dim); }
.note { font-size: 13px; max-width: 100ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px; margin-top: 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin-top: 20px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; }
.choices { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 8px 0 12px; font-size: 13px; color: var(--dim); }
.choices button {
  font: inherit; color: var(--text); background: transparent; border: 1px solid var(--line); border-radius: 5px;
  padding: 2px 10px; margin-left: 4px; cursor: pointer;
}
.choices button[aria-pressed="true"] { background: var(--bar); border-color: var(--bar); color: var(--card); }
.scroll { overflow-x: auto; }
table.figures { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
.figures th { text-align: right; font-weight: 600; color: var(--dim); border-bottom: 1px solid var(--line); padding: 4px 8px; white-space: nowrap; }
.figures td { text-align: right; padding: 3px 8px; border-bottom: 1px solid var(--soft); white-space: nowrap; }
.figures .word { text-align: left; }
.figures th.title { border-bottom: 0; color: var(--text); padding-top: 12px; }
.figures th.above { text-align: center; border-bottom: 0; color: var(--text); border-left: 1px solid var(--line); }
.figures td.wrap { white-space: normal; min-width: 180px; }
.figures tr:last-child td { border-bottom: 0; }
.bar { display: inline-block; height: 11px; border-radius: 2px; background: var(--bar); vertical-align: -1px; min-width: 2px; }
.stages { display: flex; width: 560px; height: 20px; border-radius: 3px; overflow: hidden; font-size: 11px; color: #fff; }
.stages div { min-width: 2px; text-align: center; line-height: 20px; overflow: hidden; }
.named { white-space: nowrap; margin-right: 14px; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; vertical-align: -1px; }
a { color: var(--bar); }
.uplot { font-family: inherit; }
.u-legend { font-size: 13px; text-align: left; color: var(--text); }
.u-legend th { font-weight: 400; }
.u-legend .u-value { font-variant-numeric: tabular-nums; min-width: 3.5em; display: inline-block; }
`;
