import type { Scale, Size } from "./scale.ts";

const WIDTH = 860;
const HEIGHT = 316;
const PANEL = { width: 230, height: 190, top: 72, gap: 56, left: 48 };
const COLOURS = { install: "#0969da", "re-run": "#8250df", verify: "#1a7f37" } as const;
type Kind = keyof typeof COLOURS;

interface Panel {
  readonly title: string;
  readonly value: (size: Size, kind: Kind) => number;
}

const PANELS: readonly Panel[] = [
  { title: "requests per cluster", value: ({ runs }, kind) => runs[kind].requests.perCluster },
  { title: "wall time, s", value: ({ runs }, kind) => runs[kind].seconds },
  { title: "peak memory, MB", value: ({ runs }, kind) => runs[kind].peakMegabytes },
];

/** The sizes as an SVG of three panels, with straight axes: what is linear in the number of clusters looks so. */
export function scaleChart({ sizes, latencyMs, machine }: Scale): string {
  const kinds = Object.keys(COLOURS) as Kind[];
  const legend = kinds.map(
    (kind, i) =>
      `<rect x="${PANEL.left + i * 90}" y="30" width="10" height="10" fill="${COLOURS[kind]}"/>${text(PANEL.left + i * 90 + 15, 39, kind, "start")}`,
  );
  const panels = PANELS.map((panel, i) => drawn(panel, sizes, PANEL.left + i * (PANEL.width + PANEL.gap)));
  const title = `N embedded clusters that answer after ${latencyMs} ms, ${machine.cpus} CPUs`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}" font-family="sans-serif" font-size="11">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
${text(PANEL.left, 20, title, "start", 13)}
${legend.join("\n")}
${panels.join("\n")}
</svg>
`;
}

function drawn({ title, value }: Panel, sizes: readonly Size[], left: number): string {
  const kinds = Object.keys(COLOURS) as Kind[];
  const most = round(Math.max(...sizes.flatMap((size) => kinds.map((kind) => value(size, kind)))));
  const widest = Math.max(...sizes.map(({ clusters }) => clusters));
  const bottom = PANEL.top + PANEL.height;
  const x = (clusters: number) => left + (clusters / widest) * PANEL.width;
  const y = (amount: number) => bottom - (amount / most) * PANEL.height;
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * most);
  const grid = marks.map(
    (mark) =>
      `<line x1="${left}" x2="${left + PANEL.width}" y1="${fixed(y(mark))}" y2="${fixed(y(mark))}" stroke="#d0d7de"/>${text(left - 5, y(mark) + 4, String(mark), "end")}`,
  );
  const ticks = sizes
    .filter(({ clusters }) => clusters >= widest / 8)
    .map(({ clusters }) => text(x(clusters), bottom + 15, String(clusters), "middle"));
  const lines = kinds.map((kind) => {
    const points = sizes.map((size) => [fixed(x(size.clusters)), fixed(y(value(size, kind)))]);
    const dots = points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="2.5" fill="${COLOURS[kind]}"/>`);
    return `<polyline points="${points.map((point) => point.join()).join(" ")}" fill="none" stroke="${COLOURS[kind]}" stroke-width="2"/>${dots.join("")}`;
  });
  const below = text(left + PANEL.width / 2, bottom + 32, "clusters", "middle");
  return [text(left, PANEL.top - 6, title, "start", 12), ...grid, ...ticks, below, ...lines].join("\n");
}

function text(x: number, y: number, words: string, anchor: "start" | "middle" | "end", size = 11): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}" font-size="${size}" fill="#1f2328">${words}</text>`;
}

const fixed = (value: number) => Number(value.toFixed(1));

/** The next number upwards whose quarters are short. */
function round(most: number): number {
  const unit = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 4, 6, 8, 10].find((each) => each * unit >= most) ?? 10) * unit;
}
