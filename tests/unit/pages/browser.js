// What a page is checked for inside the browser; every check returns a list of complaints.
const visible = (element) => element.checkVisibility({ visibilityProperty: true }); // closed details are not
const named = (element) => element.outerHTML.slice(0, 120);

window.check = {
  structure() {
    const found = [];
    if (!document.documentElement.lang) found.push("no lang");
    if (!document.title) found.push("no title");
    for (const landmark of ["header", "nav[aria-label]", "main", "footer"]) {
      if (document.querySelectorAll(landmark).length !== 1) found.push(`not one ${landmark}`);
    }
    const levels = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map((h) => Number(h.tagName[1]));
    if (levels.filter((level) => level === 1).length !== 1) found.push("not one h1");
    levels.forEach((level, i) => { if (i && level > levels[i - 1] + 1) found.push(`heading ${i} jumps`); });
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    const doubled = ids.filter((id, i) => ids.indexOf(id) !== i);
    if (doubled.length) found.push(`ids twice: ${doubled}`);
    for (const a of document.querySelectorAll('a[href^="#"]')) {
      if (!document.querySelector(a.getAttribute("href"))) found.push(`dead link ${named(a)}`);
    }
    for (const table of document.querySelectorAll("table")) {
      if ([...table.querySelectorAll("th")].some((th) => !["col", "row"].includes(th.scope))) found.push("th without scope");
      if ([...table.tBodies[0].rows].some((row) => !row.querySelector("th[scope=row]"))) found.push("row without th");
      if (!table.caption) found.push("table without caption");
    }
    for (const control of document.querySelectorAll("button,select,a,summary,[role=region],[role=img],[role=group]")) {
      const label = control.getAttribute("aria-label") || control.labels?.[0]?.textContent || control.textContent;
      if (!label.trim()) found.push(`no name: ${named(control)}`);
    }
    for (const element of document.querySelectorAll("main *")) {
      const scrolls = ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
      const reached = element.tabIndex === 0 && element.hasAttribute("tabindex") && element.getAttribute("role") === "region";
      if (scrolls && !reached) found.push(`scrolls, but not by keyboard: ${named(element)}`);
    }
    for (const image of document.querySelectorAll("img:not([alt]),svg:not([aria-hidden]):not([role=img])")) {
      if (!image.closest("[aria-hidden=true],button[aria-label]")) found.push(`image without words: ${named(image)}`);
    }
    return found;
  },

  drawn() {
    const found = [];
    const charts = [...document.querySelectorAll(".chart .plot")];
    if (!charts.length) found.push("no charts");
    for (const chart of charts) {
      const name = chart.closest(".chart").id;
      if (!chart.classList.contains("js-plotly-plot")) { found.push(`${name}: not drawn`); continue; }
      const box = chart.querySelector("svg.main-svg").getBoundingClientRect();
      if (box.width < 250 || box.height < 100) found.push(`${name}: ${box.width} x ${box.height}`);
      const marks = [...chart.querySelectorAll(".trace path, .trace rect, .fills path")];
      const sized = marks.filter((mark) => { const b = mark.getBoundingClientRect(); return b.width + b.height > 2; });
      if (!sized.length) found.push(`${name}: nothing in it`);
      const texts = [...chart.querySelectorAll("text")].filter((text) => text.textContent.trim());
      const outside = texts.filter((text) => {
        const b = text.getBoundingClientRect();
        const plot = chart.getBoundingClientRect();
        return b.width && (b.left < plot.left - 1 || b.right > plot.right + 1);
      });
      if (outside.length) found.push(`${name}: cut off: ${outside.map((text) => text.textContent)}`);
    }
    return found;
  },

  contrast() {
    const rgba = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const color = rgba(getComputedStyle(e).backgroundColor);
        if (color.length < 4 || color[3] > 0.99) return color;
      }
      return [255, 255, 255];
    };
    const found = [];
    let checked = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !visible(element) || element.closest("script,style,noscript,.hidden")) continue;
      const style = getComputedStyle(element);
      const [a, b] = [rgba(element.namespaceURI.includes("svg") ? style.fill : style.color), behind(element)];
      const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
      checked += 1;
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 40)}`);
    }
    if (checked < 100) found.push(`only ${checked} texts checked`);
    return found;
  },

  targets() {
    const small = [...document.querySelectorAll("button,select,summary,nav a")].filter(visible).filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width < 24 || box.height < 24; // WCAG 2.2, 2.5.8
    });
    return small.map(named);
  },

  focusable() {
    const all = [...document.querySelectorAll("a[href],button,select,summary,[tabindex='0']")].filter(visible);
    all.forEach((element, index) => { element.dataset.focus = index; });
    return all.length;
  },

  focused() {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const shown = style.outlineColor !== "rgba(0, 0, 0, 0)";
    return { index: Number(element.dataset.focus ?? -1), outlined: outlined && shown, what: named(element) };
  },
};
