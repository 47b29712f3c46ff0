// What the live figures share: where they appear, which theme they follow, how they paint pixels.
// A figure lives in a shadow root, so that neither its page's style nor its page's ids touch it.
(function (live) {
  live.figures = live.figures || {};

  // Every <div data-vae-live="score"> whose figure is loaded gets it, once, when the reader comes
  // near. Until then, and where scripts do not run, the div shows its own content: a still picture
  // and a sentence.
  live.mount = () => hosts().forEach((host) => nearby.observe(host));

  const hosts = () => [...document.querySelectorAll("[data-vae-live]")].filter((host) => live.figures[host.dataset.vaeLive]);
  const nearby = new IntersectionObserver(
    (seen) => seen.filter((entry) => entry.isIntersecting).forEach((entry) => start(entry.target)),
    { rootMargin: "50%" },
  );
  // The Tab key must find a figure that is still far away: so the first key starts them all.
  addEventListener("keydown", () => hosts().forEach(start), { once: true, capture: true });

  function start(host) {
    nearby.unobserve(host);
    if (host.shadowRoot) return;
    const figure = live.figures[host.dataset.vaeLive], root = host.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${live.style}</style>${figure.html}`;
    const redraw = figure.start(root, (selector) => root.querySelector(selector)) || (() => {});
    followTheme(host, redraw);
  }

  // The site, JupyterLab, VS Code and Colab each say "dark" in a way of their own; else the system does.
  function isDark() {
    const page = document.documentElement, body = document.body;
    const said =
      page.dataset.theme || page.getAttribute("theme") || body.dataset.theme || body.dataset.vscodeThemeKind ||
      { true: "light", false: "dark" }[body.dataset.jpThemeLight];
    if (said && said !== "auto") return /dark/.test(said) || /^vscode-high-contrast$/.test(said);
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function followTheme(host, redraw) {
    const apply = () => {
      const look = isDark() ? "dark" : "light";
      if (host.dataset.look === look) return;
      host.dataset.look = look;
      redraw();
    };
    const watch = { attributes: true, attributeFilter: ["data-theme", "theme", "data-jp-theme-light", "data-vscode-theme-kind"] };
    const observer = new MutationObserver(apply);
    observer.observe(document.documentElement, watch);
    observer.observe(document.body, watch);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
    apply();
  }

  // Pixels of 0..1 on a canvas of their own size; CSS enlarges it without smoothing.
  live.paint = (canvas, pixels, colour = live.ink) => {
    const side = Math.sqrt(pixels.length), context = canvas.getContext("2d");
    canvas.width = canvas.height = side;
    const picture = context.createImageData(side, side), dark = isDark();
    pixels.forEach((v, i) => picture.data.set([...colour(Math.min(1, Math.max(0, v)), dark), 255], 4 * i));
    context.putImageData(picture, 0, 0);
  };

  // Ink on paper: dark on light, or light on dark.
  const mix = (a, b, v) => a.map((from, i) => Math.round(from + (b[i] - from) * v));
  live.ink = (v, dark) => (dark ? mix([15, 19, 26], [240, 243, 247], v) : mix([255, 255, 255], [17, 20, 26], v));

  // The book's heat: black, purple, orange, pale yellow (Matplotlib's inferno, at nine stops).
  const HEAT = [[0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164]];
  live.glow = (v) => {
    const i = Math.min(7, Math.floor(v * 8));
    return mix(HEAT[i], HEAT[i + 1], v * 8 - i);
  };

  // 8-bit pixels from base64, as 0..1.
  live.pixels = (base64) => Float64Array.from(atob(base64), (c) => c.charCodeAt(0) / 255);

  // Sixteen shades, two pixels a byte.
  live.shades = (base64) => Float64Array.from([...atob(base64)].flatMap((c) => [c.charCodeAt(0) >> 4, c.charCodeAt(0) & 15]), (v) => v / 15);

  live.calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // `begin` is called where the mouse's main button or a finger comes down, `move` wherever it goes
  // from there, `end` when it is lifted. While it is held, a second finger and the palm are ignored.
  live.drag = (element, { begin, move, end = () => {} }) => {
    let held = null;
    element.addEventListener("pointerdown", (event) => {
      if (event.button || held !== null) return;
      begin(event);
      held = event.pointerId;
      element.setPointerCapture(held);
    });
    element.addEventListener("pointermove", (event) => event.pointerId === held && move(event));
    for (const kind of ["pointerup", "pointercancel"])
      element.addEventListener(kind, (event) => event.pointerId === held && ((held = null), end()));
    return { isHeld: () => held !== null, release: () => (held = null) };
  };

  // "5 %", with a space that does not break.
  live.percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;

  // An element's text and state, in one line.
  live.make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
})((window.vaeLive = window.vaeLive || {}));
