// Follows a job over server-sent events and draws its figures: one chart for losses, one for scores, the rest as numbers.
"use strict";

(() => {
  const live = document.getElementById("live");
  const charts = document.getElementById("charts");
  const figures = document.getElementById("job-figures");
  const log = document.getElementById("job-log");
  const words = live.dataset;
  const panels = new Map(); // "loss" | "score" → { steps, series: Map(name → values), plot, box }
  const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4"];
  const HIDDEN = new Set(["epoch", "step", "rate", "validation_micro_f1"]); // the last equals accuracy
  const WHOLE = [1, 2, 5].flatMap((first) => [0, 1, 2, 3, 4, 5, 6].map((power) => first * 10 ** power)).sort((a, b) => a - b); // steps are whole
  const names = JSON.parse(words.names); // metric → words
  let isStale = false;
  let lastStep = -1;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function kindOf(name, value) {
    if (HIDDEN.has(name)) return null;
    if (name.includes("loss")) return "loss";
    return /accuracy|f1|agreement/.test(name) && value >= 0 && value <= 1 ? "score" : null;
  }

  function panelOf(kind) {
    if (!panels.has(kind)) {
      const box = document.createElement("figure");
      box.className = "chart";
      box.dataset.chart = kind;
      const title = document.createElement("figcaption");
      title.textContent = words[kind];
      box.append(title);
      charts.append(box);
      panels.set(kind, { steps: [], series: new Map(), plot: null, box });
    }
    return panels.get(kind);
  }

  function add(kind, step, values) {
    const panel = panelOf(kind);
    const at = panel.steps.push(step) - 1;
    for (const column of panel.series.values()) column.push(null);
    for (const [name, value] of values) {
      if (!panel.series.has(name)) {
        panel.series.set(name, panel.steps.map(() => null));
        if (panel.plot) panel.plot.destroy();
        panel.plot = null;
      }
      panel.series.get(name)[at] = value;
    }
    panel.box.dataset.points = String(panel.steps.length);
  }

  // An attempt that resumes tells its steps again: what the dead one said beyond them never became part of the model.
  function forgetFrom(step) {
    for (const panel of panels.values()) {
      const keep = panel.steps.findIndex((other) => other >= step);
      if (keep < 0) continue;
      panel.steps.length = keep;
      for (const column of panel.series.values()) column.length = keep;
      panel.box.dataset.points = String(keep);
    }
  }

  function spread(_plot, low, high) {
    const pad = low === null ? 0.5 : Math.max(0.02, (high - low) * 0.1);
    return [(low ?? 0) - pad, (high ?? 0) + pad];
  }

  function draw(panel) {
    const data = [panel.steps, ...panel.series.values()];
    if (panel.plot) return panel.plot.setData(data);
    const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const lines = [...panel.series.keys()].map((name, index) => ({
      label: names[name] ?? name, stroke: colour(COLOURS[index % COLOURS.length]), width: 2, spanGaps: true, points: { show: panel.steps.length < 25, size: 5 },
      value: (_plot, value) => (value == null ? "–" : value.toFixed(4)),
    }));
    const options = {
      width: panel.box.clientWidth - 2, height: 240, cursor: { y: false }, legend: { live: true }, scales: { x: { time: false }, y: { range: spread } },
      axes: [{ ...axis, size: 34, incrs: WHOLE }, { ...axis, size: 52 }], series: [{ label: words.step }, ...lines],
    };
    panel.plot = new uPlot(options, data, panel.box);
    return panel.plot;
  }

  function redraw() {
    isStale = false;
    document.getElementById("job-quiet").hidden = panels.size > 0 || figures.children.length > 0;
    for (const panel of panels.values()) draw(panel);
  }

  function redrawSoon() {
    if (isStale) return;
    isStale = true;
    requestAnimationFrame(redraw);
  }

  function showFigure(name, value) {
    let item = figures.querySelector(`[data-name="${CSS.escape(name)}"]`);
    if (!item) {
      item = document.createElement("div");
      item.className = "figure";
      item.dataset.name = name;
      item.append(document.createElement("dt"), document.createElement("dd"));
      item.firstChild.textContent = names[name] ?? name;
      figures.append(item);
    }
    item.lastChild.textContent = Math.abs(value) >= 100 ? Math.round(value).toLocaleString() : value.toPrecision(4);
  }

  function progress(body) {
    const bar = document.getElementById("job-progress");
    if (bar && body.total) {
      bar.max = body.total;
      bar.value = body.step;
      document.getElementById("job-step").textContent = `${body.step.toLocaleString()} / ${body.total.toLocaleString()}`;
    }
    if (body.step <= lastStep) forgetFrom(body.step);
    lastStep = body.step;
    const groups = new Map();
    for (const [name, value] of Object.entries(body.metrics)) {
      const kind = kindOf(name, value);
      if (!groups.has(kind)) groups.set(kind, []);
      groups.get(kind).push([name, value]);
      if (kind !== "loss" && !HIDDEN.has(name)) showFigure(name, value);
    }
    groups.delete(null);
    for (const [kind, values] of groups) add(kind, body.step, values);
    if (body.message) tell(body.message);
    redrawSoon();
  }

  function tell(text) {
    const line = document.createElement("li");
    line.textContent = text;
    log.append(line);
    const now = document.getElementById("job-message");
    if (now) now.textContent = text;
  }

  const source = new EventSource(`${words.events}?after=0`);
  source.addEventListener("progress", (event) => progress(JSON.parse(event.data)));
  source.addEventListener("message", (event) => tell(JSON.parse(event.data).message));
  source.addEventListener("gone", () => { source.close(); location.reload(); });
  source.addEventListener("end", () => {
    source.close();
    if (words.ended !== "true") location.reload(); // the page then shows result or error
  });

  function recolour() {
    for (const panel of panels.values()) {
      if (panel.plot) panel.plot.destroy();
      panel.plot = null;
    }
    redrawSoon();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  addEventListener("resize", recolour);
})();
