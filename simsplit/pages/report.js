"use strict";
(() => {
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const make = (tag, attributes = {}, text = "") => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const plainText = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;

  // --- colours: "@0", "@ink", "@0/0.2" become those of the page's style -------------------------

  const colour = (token) => {
    const [name, alpha] = token.slice(1).split("/");
    const hex = css(/^\d$/.test(name) ? `--c${name}` : `--${name}`);
    if (alpha === undefined) return hex;
    const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${alpha})`;
  };
  const painted = (value) => {
    if (typeof value === "string") return /^@(\d|[a-z]+)(\/[\d.]+)?$/.test(value) ? colour(value) : value;
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(painted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item)]));
  };

  // --- layout that all charts share -------------------------------------------------------------

  const axis = {
    gridcolor: "@grid", zerolinecolor: "@grid", linecolor: "@muted", tickcolor: "@muted",
    showline: true, ticks: "outside", automargin: true, exponentformat: "SI", minexponent: 4,
  };
  const isCoarse = matchMedia("(pointer: coarse)").matches;
  const layoutOf = (layout) => ({
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: css("--font"), size: 13, color: "@ink" },
    margin: { l: 58, r: 14, t: 36, b: 52 },
    showlegend: false,
    hovermode: "closest",
    hoverlabel: { bgcolor: "@surface", bordercolor: "@muted", font: { color: "@ink" } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "@muted", activecolor: "@ink" },
    dragmode: isCoarse ? false : "zoom", // else a finger could not scroll past
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  });
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: true,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
  };

  // --- legend: buttons that show and hide, with a sample of the line or the filling --------------

  const SHAPES = {
    circle: "M18 4a5 5 0 1 0 .01 0z", square: "M13.5 4.5h9v9h-9z", "triangle-up": "M18 3.5l5.5 10h-11z",
    diamond: "M18 3l6 6-6 6-6-6z", "triangle-down": "M18 14.5l5.5-10h-11z",
    x: "M14 3l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z", cross: "M16 3h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    star: "M18 3l1.6 4.2 4.4.3-3.4 2.9 1.1 4.3-3.7-2.4-3.7 2.4 1.1-4.3L12 7.500l4.400-.3z",
  };
  const DASH = { solid: "", dash: "8 4", dashdot: "8 3 2 3", dot: "2 3", longdash: "12 4", longdashdot: "12 3 2 3" };
  const HATCHES = ["", "/", ".", "\\", "x", "+", "-", "|"];
  const variable = (token) => (/^@\d$/.test(token) ? `var(--c${token[1]})` : `var(--${token.slice(1)})`);
  const svg = (inner) =>
    `<svg aria-hidden="true" width="36" height="18" viewBox="0 0 36 18">${inner}</svg>`;
  const lineSample = ({ line, marker }) => {
    const path = line
      ? `<path d="M0 9h36" fill="none" stroke="${variable(line.color)}" stroke-width="2.5" stroke-dasharray="${DASH[line.dash]}"/>`
      : "";
    const shape = marker
      ? `<path d="${SHAPES[marker.symbol]}" fill="${variable(marker.color)}" stroke="var(--ink)"/>`
      : "";
    return svg(path + shape);
  };
  const barSample = ({ color, pattern }) => {
    const box = '<rect x="4" y="1" width="28" height="16"';
    const hatch = HATCHES.indexOf(pattern.shape);
    return svg(`${box} fill="${variable(color)}"/>${box} class="edge" fill="url(#hatch-${hatch})"/>`);
  };
  const legendButton = (name, sample, isOn, toggle) => {
    const button = make("button", { type: "button", "aria-pressed": isOn });
    button.innerHTML = sample; // made above from fixed pieces
    button.append(make("span", {}, name));
    button.addEventListener("click", () => {
      const isShown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", isShown);
      toggle(isShown);
    });
    return button;
  };

  // --- a select with its label -------------------------------------------------------------------

  const selectOf = (name, options, value, choose) => {
    const label = make("label", {}, name);
    const select = make("select");
    for (const [key, text] of options) {
      select.append(make("option", key === value ? { value: key, selected: "" } : { value: key }, text));
    }
    select.addEventListener("change", () => choose(Number(select.value)));
    label.append(select);
    return { label, select };
  };

  // --- kind "figure": Plotly's own data and layout -------------------------------------------------

  const figure = (content, legend, redraw) => {
    const hidden = new Set();
    content.data.forEach((trace, index) => {
      const fill = trace.type === "bar" ? trace.marker : { color: trace.fillcolor, pattern: trace.fillpattern };
      const sample = fill.pattern ? barSample(fill) : lineSample(trace);
      legend.append(legendButton(plainText(trace.name), sample, true, (isShown) => {
        isShown ? hidden.delete(index) : hidden.add(index);
        redraw();
      }));
    });
    if (content.data.length < 2) legend.replaceChildren();
    return () => {
      const data = content.data.map((trace, index) => ({ ...trace, visible: !hidden.has(index) }));
      if (!content.totals) return { data, layout: content.layout };
      const totals = totalsOf(data.filter((trace) => trace.visible));
      const xaxis = { ...content.layout.xaxis, range: [0, 1.17 * (Math.max(...totals.x) || 1)] }; // room for the sums
      return { data: [...data, totals], layout: { ...content.layout, xaxis } };
    };
  };

  /** The sums of what is shown, written at the ends of the bars. */
  const totalsOf = (bars) => {
    const y = bars.length ? bars[0].y : [];
    const x = y.map((_, i) => bars.reduce((sum, bar) => sum + (bar.x[i] || 0), 0));
    return {
      type: "scatter", mode: "text", x, y, text: x.map((sum) => ` ${Number(sum.toPrecision(3))}`),
      textposition: "middle right", cliponaxis: false, hoverinfo: "skip", textfont: { color: "@ink" },
    };
  };

  // --- kind "scatter": two objectives against each other --------------------------------------------

  const isWide = (values) => {
    const found = values.filter((value) => value !== null);
    const [low, high] = [Math.min(...found), Math.max(...found)];
    return low > 0 && high / low >= 50;
  };
  const scaleOf = (one) => (!one.linear && isWide(one.mean) ? "log" : "linear"); // shares are never logarithmic
  const error = (objective, rows) => ({
    type: "data", symmetric: false, thickness: 1.2, width: 3,
    array: rows.map((row) => (objective.high[row] === null ? 0 : objective.high[row] - objective.mean[row])),
    arrayminus: rows.map((row) => (objective.low[row] === null ? 0 : objective.mean[row] - objective.low[row])),
  });
  const intervalText = (column, row) =>
    column.low[row] === null ? "" : ` (${format(column.low[row])} … ${format(column.high[row])})`;
  const format = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));

  const scatter = (content, legend, redraw, controls, plot) => {
    const { objectives, curves } = content;
    const hidden = new Set();
    let [x, y] = content.start;
    const options = objectives.map((objective, index) => [index, objective.title]);
    const choose = (isX) => (index) => {
      const [oldX, oldY] = [x, y];
      if (isX) [x, y] = [index, index === oldY ? oldX : oldY];
      else [x, y] = [index === oldX ? oldY : oldX, index];
      across.select.value = x;
      up.select.value = y;
      redraw();
    };
    const across = selectOf("Across", options, x, choose(true));
    const up = selectOf("Up", options, y, choose(false));
    controls.append(across.label, up.label);
    if (curves.length > 1) {
      curves.forEach((curve, index) => {
        const sample = lineSample({ marker: curve.marker });
        legend.append(legendButton(plainText(curve.name), sample, true, (isShown) => {
          isShown ? hidden.delete(index) : hidden.add(index);
          redraw();
        }));
      });
    }
    const trace = (curve, rows, opacity) => ({
      type: "scatter", mode: "markers", name: curve.name, opacity,
      x: rows.map((row) => objectives[x].mean[row]),
      y: rows.map((row) => objectives[y].mean[row]),
      error_x: { ...error(objectives[x], rows), color: curve.marker.color },
      error_y: { ...error(objectives[y], rows), color: curve.marker.color },
      marker: { ...curve.marker, size: 11 },
      text: rows.map((row) => [
        content.labels[row],
        `${objectives[x].title}: ${format(objectives[x].mean[row])}${intervalText(objectives[x], row)}`,
        `${objectives[y].title}: ${format(objectives[y].mean[row])}${intervalText(objectives[y], row)}`,
      ].join("<br>")),
      hovertemplate: "%{text}<extra></extra>",
    });
    return () => {
      const front = new Set(content.fronts[`${Math.min(x, y)}-${Math.max(x, y)}`]);
      const isShown = (row) => objectives[x].mean[row] !== null && objectives[y].mean[row] !== null;
      const rows = content.curve.map((_, row) => row).filter(isShown);
      const data = curves.flatMap((curve, index) => {
        const mine = hidden.has(index) ? [] : rows.filter((row) => content.curve[row] === index);
        return [
          trace(curve, mine.filter((row) => !front.has(row)), 0.35),
          trace(curve, mine.filter((row) => front.has(row)), 1),
        ];
      });
      const best = rows.filter((row) => front.has(row));
      best.sort((a, b) => objectives[x].mean[a] - objectives[x].mean[b]);
      data.unshift({
        type: "scatter", mode: "lines", hoverinfo: "skip", line: { color: "@muted", width: 1.2, dash: "dot" },
        x: best.map((row) => objectives[x].mean[row]), y: best.map((row) => objectives[y].mean[row]),
      });
      plot.setAttribute("aria-label", `${objectives[y].title} against ${objectives[x].title}`);
      const titled = (objective) => ({
        title: { text: `${objective.title}, ${objective.better}` },
        type: scaleOf(objective),
      });
      return { data, layout: { xaxis: titled(objectives[x]), yaxis: titled(objectives[y]) } };
    };
  };

  // --- kind "trend": a KPI along an axis, a curve per operating point and what else varies -----------

  const CURVES = -1; // an axis whose values are curves of their own
  const POINTS = -2; // one whose values are single points

  const trend = (content, legend, redraw, controls, plot) => {
    const { axes, kpis, curves } = content;
    const hidden = new Set();
    const isLarge = content.curve.length > 3000; // so many single points would be slow, and a cloud
    const held = axes.map((one) => {
      if (one.texts.length <= content.most) return CURVES;
      return isLarge ? Math.floor(one.texts.length / 2) : POINTS;
    });
    let [kpi, along] = [0, longest(axes)];
    /** Axes on which every operating point has one value: it tells them already. */
    const told = axes.map((one) => {
      const places = curves.map(() => new Set());
      content.curve.forEach((curve, row) => places[curve].add(one.place[row]));
      return places.every((found) => found.size <= 1);
    });
    const free = () =>
      axes.map((_, index) => index).filter((index) => index !== along && held[index] === CURVES && !told[index]);

    /** What tells a row's curve apart beside its operating point. */
    const comboOf = (row) =>
      free().map((index) => `${axes[index].title}: ${axes[index].texts[axes[index].place[row]] ?? "–"}`).join(", ");
    const isKept = (row) =>
      axes.every((one, index) =>
        index === along ? one.place[row] >= 0 : held[index] < 0 || one.place[row] === held[index]);
    const rowsKept = () => content.curve.map((_, row) => row).filter(isKept);
    const combos = () => [...new Set(rowsKept().map(comboOf))];
    const count = () => new Set(rowsKept().map((row) => `${content.curve[row]} ${comboOf(row)}`)).size;
    for (let index = axes.length - 1; index >= 0 && count() > content.most; index -= 1) {
      if (!free().includes(index)) continue;
      const there = rowsKept().map((row) => axes[index].place[row]).filter((place) => place >= 0);
      there.sort((a, b) => a - b);
      held[index] = there[Math.floor(there.length / 2)];
    }

    const kpiOptions = kpis.map((one, index) => [index, one.title]);
    controls.append(selectOf("KPI", kpiOptions, kpi, (index) => { kpi = index; redraw(); }).label);
    const holds = axes.map((one, index) => {
      const values = one.texts.map((text, place) => [place, plainText(text)]);
      const options = [[CURVES, "all, as curves"], [POINTS, "all, as points"], ...values];
      return selectOf(plainText(one.title), options, held[index], (value) => { held[index] = value; refresh(); }).label;
    });
    const showHolds = () => holds.forEach((label, index) => { label.hidden = index === along; label.style.display = index === along ? "none" : ""; });
    if (axes.length > 1) {
      const options = axes.map((one, index) => [index, plainText(one.title)]);
      controls.append(selectOf("Along", options, along, (index) => { along = index; showHolds(); refresh(); }).label);
      controls.append(...holds);
      showHolds();
    }

    const dashOf = (combo, all) => content.dashes[all.indexOf(combo) % content.dashes.length];

    const refresh = () => {
      hidden.clear();
      showLegend();
      redraw();
    };
    const toggler = (key) => (isShown) => {
      isShown ? hidden.delete(key) : hidden.add(key);
      redraw();
    };
    const showLegend = () => {
      const all = combos();
      const buttons = curves.map((curve, index) => {
        const sample = lineSample(all.length > 1 ? { marker: curve.marker } : curve);
        return legendButton(plainText(curve.name), sample, true, toggler(index));
      });
      const others = all.map((combo) => {
        const sample = lineSample({ line: { color: "@ink", dash: dashOf(combo, all) } });
        return legendButton(plainText(combo), sample, true, toggler(combo));
      });
      legend.replaceChildren(...(curves.length > 1 ? buttons : []), ...(all.length > 1 ? others : []));
    };
    showLegend();

    const lines = (index, combo, all, rows) => {
      const [curve, column, x] = [curves[index], kpis[kpi], axes[along]];
      const isPoints = held.some((value, at) => at !== along && value === POINTS);
      const mine = rows
        .filter((row) => content.curve[row] === index && comboOf(row) === combo && column.mean[row] !== null)
        .sort((a, b) => x.place[a] - x.place[b]);
      const at = (row) => x.values[x.place[row]];
      const line = { ...curve.line, ...(all.length > 1 ? { dash: dashOf(combo, all) } : {}) };
      const trace = {
        type: "scatter", mode: isPoints ? "markers" : "lines+markers", name: curve.name,
        x: mine.map(at), y: mine.map((row) => column.mean[row]), line,
        marker: { ...curve.marker, maxdisplayed: isPoints ? 0 : 30 },
        text: mine.map((row) => [
          curve.name,
          ...axes.map((one) => `${one.title}: ${one.texts[one.place[row]] ?? "–"}`),
          `${column.title}: ${format(column.mean[row])}${intervalText(column, row)}`,
        ].join("<br>")),
        hovertemplate: "%{text}<extra></extra>",
      };
      if (isPoints || !x.numeric) return [{ ...trace, error_y: { ...error(column, mine), color: curve.line.color } }];
      return [...bands(mine, column, at, curve.line.color), trace];
    };

    return () => {
      const [rows, all] = [rowsKept(), combos()];
      const data = curves.flatMap((_, index) =>
        all.flatMap((combo) => (hidden.has(index) || hidden.has(combo) ? [] : lines(index, combo, all, rows))));
      const x = axes[along];
      const type = x.numeric ? (x.log ? "log" : "linear") : "category";
      const order = x.numeric ? {} : { categoryorder: "array", categoryarray: x.values };
      plot.setAttribute("aria-label", `${kpis[kpi].title} along ${plainText(x.title)}; the numbers are in the table below`);
      return {
        data,
        layout: {
          xaxis: { title: { text: x.title }, type, ...order },
          yaxis: { title: { text: kpis[kpi].title }, type: scaleOf(kpis[kpi]) },
        },
      };
    };
  };

  const longest = (axes) => {
    const lengths = axes.map((one) => (one.numeric ? 1000 : 0) + one.texts.length);
    return lengths.indexOf(Math.max(...lengths));
  };

  /** Translucent areas between the ends of the intervals, one per run of rows that have one. */
  const bands = (rows, column, at, color) => {
    const runs = [[]];
    for (const row of rows) {
      if (column.low[row] === null) runs.push([]);
      else runs[runs.length - 1].push(row);
    }
    return runs.filter((run) => run.length > 1).map((run) => ({
      type: "scatter", mode: "lines", fill: "toself", hoverinfo: "skip", line: { width: 0 }, fillcolor: `${color}/0.18`,
      x: [...run, ...[...run].reverse()].map(at),
      y: [...run.map((row) => column.high[row]), ...[...run].reverse().map((row) => column.low[row])],
    }));
  };

  // --- draw everything, and again when light turns to dark --------------------------------------------

  const KINDS = { figure, scatter, trend };
  const charts = [...document.querySelectorAll(".chart")].map((element) => {
    const plot = element.querySelector(".plot");
    const content = JSON.parse(element.querySelector("script").textContent);
    const draw = () => {
      const { data, layout } = build();
      Plotly.react(plot, painted(data), painted(layoutOf(layout)), config);
      [...plot.querySelectorAll("svg.main-svg"), document.getElementById("js-plotly-tester")].forEach((one) => one.setAttribute("aria-hidden", "true"));
    };
    const parts = [element.querySelector(".legend"), draw, element.querySelector(".controls"), plot];
    const build = KINDS[element.dataset.kind](content, ...parts);
    draw();
    return draw;
  });
  const redrawAll = () => charts.forEach((draw) => draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  for (const [event, isPrint] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => {
      root.classList.toggle("print", isPrint);
      redrawAll();
    });
  }

  // --- tables that sort ---------------------------------------------------------------------------------

  const keyOf = (row, column) => {
    const cell = row.children[column];
    return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  const sortBy = (table, heading) => {
    const column = [...heading.parentNode.children].indexOf(heading);
    const isDown = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentNode.children) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    const isGap = ([key]) => key === "–";
    rows.sort((a, b) => isGap(a) - isGap(b) || (isDown ? -1 : 1) * compare(a[0], b[0]));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const button of table.querySelectorAll("thead button")) {
      button.addEventListener("click", () => sortBy(table, button.parentNode));
    }
  }
})();
