// The figure "threshold": move it, and see false alarms and misses move on real held-out scores.
(function (live) {
  const html = `
    <section aria-label="Live figure: move the threshold">
      <h3 id="title"></h3>
      <svg class="plot" role="img"></svg>
      <input type="range" aria-label="Threshold" step="0.001" min="0">
      <div class="tiles">
        <div class="tile normal"><h3>False alarms</h3><b class="alarms"></b> <span class="of-normal"></span>
          <p class="quiet">eights right of the line, nearest first</p><div class="strip alarmed" role="img"></div></div>
        <div class="tile anomaly"><h3>Misses</h3><b class="misses"></b> <span class="of-anomaly"></span>
          <p class="quiet">some of the others left of the line</p><div class="strip missed" role="img"></div></div>
      </div>
      <div class="row presets" role="group" aria-label="Thresholds set on calibration images"><span class="quiet">Set on other images, for a rate of</span></div>
      <p class="unseen status" role="status" aria-live="polite"></p>
    </section>`;

  function start(root, $) {
    const held = live.heldout, slider = $("input"), svg = $(".plot"), BINS = 44;
    const above = (scores, t) => scores.filter((s) => s > t).length;
    slider.max = held.top;
    slider.value = held.threshold;
    $("#title").textContent = `Scores of ${held.normal.length} ${held.plural} and ${held.anomalous.length} other digits of the test part`;

    function counts(t) {
      return { alarms: above(held.normal, t), misses: held.anomalous.length - above(held.anomalous, t) };
    }

    // The bars of one kind: pale all along, and in full colour on the side of the line where they are errors.
    function bars(scores, w, kind, base, height, sign) {
      const n = new Array(BINS).fill(0), step = held.top / BINS;
      for (const s of scores) n[Math.min(BINS - 1, Math.floor(s / step))]++;
      const wide = (w - 16) / BINS;
      const rects = n.map((count, i) => {
        const h = Math.max(2, (count / Math.max(...n)) * height); // each kind to its own scale
        return count ? `<rect x="${8 + i * wide + 0.5}" width="${wide - 1}" y="${sign < 0 ? base - h : base}" height="${h}"/>` : "";
      }).join("");
      return `<g class="${kind} faded">${rects}</g><g class="${kind}" clip-path="url(#${kind}-errors)">${rects}</g>`;
    }

    function draw() {
      const w = Math.max(260, svg.parentNode.clientWidth - 32), t = Number(slider.value), base = 112, h = 216;
      const at = (score) => 8 + (score / held.top) * (w - 16), { alarms, misses } = counts(t);
      svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
      svg.innerHTML =
        `<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
           <rect width="6" height="6" style="fill: var(--anomaly); opacity: 0.55"/><line x1="0" y1="0" x2="0" y2="6" style="stroke: var(--anomaly); stroke-width: 5"/></pattern>
           <clipPath id="normal-errors"><rect x="${at(t)}" y="0" width="${w}" height="${h}"/></clipPath>
           <clipPath id="anomaly-errors"><rect x="0" y="0" width="${at(t)}" height="${h}"/></clipPath></defs>
         <rect class="beyond" x="${at(t)}" y="12" width="${Math.max(0, w - 8 - at(t))}" height="${h - 30}"/>
         ${bars(held.normal, w, "normal", base, 88, -1)}${bars(held.anomalous, w, "anomaly", base, 84, 1)}
         <line class="axis" x1="8" x2="${w - 8}" y1="${base}" y2="${base}"/>
         <line class="cut" x1="${at(t)}" x2="${at(t)}" y1="8" y2="${h - 16}"/>
         <text class="strong" x="${w - 8}" y="26" text-anchor="end">${held.plural}, upwards</text>
         <text class="strong" x="${w - 8}" y="${h - 26}" text-anchor="end">other digits, downwards, hatched</text>
         <text x="${Math.min(w - 8, Math.max(8, at(t)))}" y="${h - 2}" text-anchor="${at(t) > w - 150 ? "end" : at(t) < 150 ? "start" : "middle"}">← passes · threshold ${t.toFixed(3)} · alarm →</text>`;
      const shares = [alarms / held.normal.length, misses / held.anomalous.length];
      $(".alarms").textContent = alarms;
      $(".misses").textContent = misses;
      $(".of-normal").textContent = `of ${held.normal.length} ${held.plural}: ${live.percent(shares[0])}`;
      $(".of-anomaly").textContent = `of ${held.anomalous.length} others: ${live.percent(shares[1], 1)}`;
      const text = `${t.toFixed(3)}: ${alarms} of ${held.normal.length} ${held.plural} raise a false alarm, ${misses} of ${held.anomalous.length} other digits are missed`;
      slider.setAttribute("aria-valuetext", text);
      svg.setAttribute("aria-label", `Two histograms of scores, ${held.plural} mostly low, other digits mostly high. Threshold ${text}.`);
      strip($(".alarmed"), held.pictures.normal.filter((p) => p.score > t).sort((a, b) => a.score - b.score));
      strip($(".missed"), held.pictures.anomalous.filter((p) => p.score <= t).sort((a, b) => b.score - a.score));
      for (const button of root.querySelectorAll("button")) button.setAttribute("aria-pressed", Math.abs(button.cut - t) < 0.0006);
    }

    function strip(element, pictures) {
      const shown = pictures.slice(0, 5);
      element.replaceChildren(...shown.map((p) => {
        const canvas = live.make("canvas");
        live.paint(canvas, live.shades(p.pixels));
        return canvas;
      }));
      element.setAttribute("aria-label", shown.length ? `digits ${shown.map((p) => p.digit).join(", ")}` : "none");
    }

    const set = (t) => {
      slider.value = Math.min(held.top, Math.max(0, t));
      draw();
    };
    slider.addEventListener("input", draw);
    const follow = (event) => {
      const box = svg.getBoundingClientRect();
      set(((event.clientX - box.left - 8) / (box.width - 16)) * held.top);
    };
    live.drag(svg, { begin: follow, move: follow });

    for (const { rate, threshold } of held.presets) {
      const button = live.make("button", { textContent: live.percent(rate), cut: threshold });
      button.setAttribute("aria-label", `Threshold for a false-alarm rate of ${live.percent(rate)}`);
      button.onclick = () => {
        set(threshold);
        $(".status").textContent = `Threshold ${slider.getAttribute("aria-valuetext")}`;
      };
      $(".presets").append(button);
    }
    new ResizeObserver(draw).observe($("section"));
    return draw;
  }

  live.figures = live.figures || {};
  live.figures.threshold = { html, start };
})((window.vaeLive = window.vaeLive || {}));
