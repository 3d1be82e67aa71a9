/**
 * The script of the page: it draws the charts and answers the buttons.
 *
 * The function's text goes into the page, so it may use nothing but its arguments and the browser.
 */
import type uPlot from "uplot";
import type { ChartData, ChartLine } from "./data.js";

/** @param Plot - the charting library */
export function drawCharts(charts: readonly ChartData[], Plot: typeof uPlot): void {
  const LIGHT = [
    "#2a6fb8",
    "#c4571a",
    "#2b8a57",
    "#a63d7f",
    "#8a7410",
    "#5b51b5",
    "#b03a3a",
    "#4f5a66",
  ];
  const DARK = [
    "#64a8ee",
    "#ef8f56",
    "#5cc28b",
    "#df84bc",
    "#cdb64a",
    "#a39bf2",
    "#ec8080",
    "#b5bec8",
  ];
  const HEIGHT = 340;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  for (const chart of charts) begin(chart);

  function begin(chart: ChartData): void {
    const host = document.getElementById(chart.id)!;
    const bar = document.createElement("div");
    const box = document.createElement("div");
    bar.className = "choices";
    host.append(bar, box);
    const chosen = [...chart.pictures[0]!.chosen];
    let plot: uPlot | undefined;
    const draw = () => {
      plot?.destroy();
      const picture = chart.pictures.find((each) =>
        each.chosen.every((value, i) => value === chosen[i]),
      );
      plot = picture === undefined ? undefined : plotOf(chart, picture.lines, box);
    };
    chart.choices.forEach(({ name, values }, i) => {
      if (values.length < 2) return;
      const group = document.createElement("span");
      group.append(name);
      for (const value of values) {
        const button = document.createElement("button");
        button.textContent = value;
        button.setAttribute("aria-pressed", String(value === chosen[i]));
        button.onclick = () => {
          chosen[i] = value;
          for (const each of group.querySelectorAll("button")) {
            each.setAttribute("aria-pressed", String(each === button));
          }
          draw();
        };
        group.append(button);
      }
      bar.append(group);
    });
    draw();
    dark.addEventListener("change", draw);
    addEventListener("resize", () => plot?.setSize({ width: box.clientWidth, height: HEIGHT }));
  }

  function plotOf(chart: ChartData, lines: readonly ChartLine[], box: HTMLElement): uPlot {
    const css = getComputedStyle(document.documentElement);
    const color = (name: string) => css.getPropertyValue(name).trim();
    const palette = dark.matches ? DARK : LIGHT;
    const axis = (label: string): uPlot.Axis => ({
      label,
      stroke: color("--dim"),
      grid: { stroke: color("--soft"), width: 1 },
      ticks: { stroke: color("--line"), width: 1 },
      font: "12px system-ui, sans-serif",
      labelFont: "13px system-ui, sans-serif",
    });
    const short = (value: number | null) =>
      value === null
        ? ""
        : Number.isInteger(value) && value < 1e5
          ? String(value)
          : value >= 1e6
            ? `${+(value / 1e6).toPrecision(3)} M`
            : value >= 1e4
              ? `${+(value / 1e3).toPrecision(3)} k`
              : String(+value.toPrecision(3));
    const data = Plot.join(
      lines.map(
        ({ points }) => [points.map(([x]) => x), points.map(([, y]) => y)] as uPlot.AlignedData,
      ),
    );
    const log = { distr: 3 as const, log: 10 as const };
    return new Plot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        scales: {
          x: { time: false, ...(chart.isLogX ? { ...log, log: 2 as const } : {}) },
          y: chart.isLogY ? log : {},
        },
        axes: [
          { ...axis(chart.x), values: (_, splits) => splits.map(short) },
          { ...axis(chart.y), size: 70, values: (_, splits) => splits.map(short) },
        ],
        legend: {
          markers: {
            width: 0,
            fill: (_, i) => (i === 0 ? "" : palette[(i - 1) % palette.length]!),
          },
        },
        cursor: { focus: { prox: 24 } },
        focus: { alpha: 0.25 },
        series: [
          { label: chart.x, value: (_, value) => short(value) },
          ...lines.map(({ label, points }, i): uPlot.Series => ({
            label,
            stroke: palette[i % palette.length]!,
            width: 2,
            spanGaps: true,
            points: { show: !chart.isStepped || points.length < 2, size: 6 },
            value: (_, value) => short(value),
            ...(chart.isStepped ? { paths: Plot.paths.stepped!({ align: 1 }) } : {}),
          })),
        ],
      },
      data,
      box,
    );
  }
}
