// The figure "settings": pick one, and see what was measured when it alone was changed.
// `map.js` has the numbers; `live/settings_map.py` takes them from the committed records.
(function (live) {
  const html = `
    <style>
      .picks { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.3rem 1.2rem; margin-bottom: 0.8rem; }
      .picks label { font-size: 0.88rem; color: var(--quiet); }
      select { font: inherit; font-size: 0.95rem; width: 100%; min-height: 2.5rem; color: var(--ink); background: var(--paper); border: 1px solid var(--control); border-radius: 8px; padding: 0 0.5rem; }
      .curve { stroke: var(--normal); stroke-width: 2; fill: none; }
      .seed { fill: var(--normal); opacity: 0.45; }
      .mean { fill: var(--normal); }
      .own { fill: none; stroke: var(--ink); stroke-width: 2; }
      .level { stroke: var(--line); stroke-dasharray: 2 4; }
      .said { margin: 0.6rem 0; }
      @container (max-width: 560px) { .picks { grid-template-columns: minmax(0, 1fr); } }
    </style>
    <section aria-label="Live figure: a map of settings">
      <div class="picks">
        <div><label for="column">Data and detector</label><select id="column"></select></div>
        <div><label for="setting">Setting</label><select id="setting"></select></div>
      </div>
      <svg class="elbo" role="img"></svg>
      <svg class="auroc" role="img"></svg>
      <p class="quiet said"></p>
      <div class="row"><button class="next">Next setting</button></div>
      <p class="unseen status" role="status" aria-live="polite"></p>
    </section>`;

  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const signed = (v, digits) => v.toFixed(digits).replace("-", "\u2212");

  function start(root, $) {
    const column = $("#column"), setting = $("#setting"), columns = live.map.columns;
    for (const name of Object.keys(columns)) column.append(live.make("option", { textContent: name }));

    // The settings that were changed on these data; the one that was chosen stays if it can.
    function offer() {
      const before = setting.value, families = Object.keys(columns[column.value]);
      setting.replaceChildren(...families.map((name) => live.make("option", { textContent: name })));
      if (families.includes(before)) setting.value = before;
    }

    // One panel: a small dot a seed, a line through the means, a ring around the defaults.
    function panel(svg, title, points, key, digits) {
      const w = Math.max(260, svg.parentNode.clientWidth - 32), h = 150, left = 58;
      const known = points.filter((point) => point[key]), all = known.flatMap((point) => point[key]);
      const low = Math.min(...all), high = Math.max(...all), room = high - low || 1;
      const x = (i) => left + ((i + 0.5) / points.length) * (w - left - 8);
      const y = (v) => 118 - ((v - low) / room) * 84;
      const at = points.map((point, i) => ({ ...point, x: x(i).toFixed(1), seeds: point[key] })).filter((point) => point.seeds);
      const level = (v) => `<line class="level" x1="${left}" x2="${w - 8}" y1="${y(v)}" y2="${y(v)}"/><text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${signed(v, digits)}</text>`;
      svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
      svg.innerHTML =
        `<text class="strong" x="8" y="14">${title}</text>${level(low)}${level(high)}
         <path class="curve" d="${at.map((p, i) => `${i ? "L" : "M"}${p.x} ${y(mean(p.seeds)).toFixed(1)}`).join("")}"/>
         ${at.map((p) => p.seeds.map((v) => `<circle class="seed" cx="${p.x}" cy="${y(v).toFixed(1)}" r="3"/>`).join("")).join("")}
         ${at.map((p) => `<circle class="mean" cx="${p.x}" cy="${y(mean(p.seeds)).toFixed(1)}" r="4.5"/>`).join("")}
         ${at.filter((p) => p.own).map((p) => `<circle class="own" cx="${p.x}" cy="${y(mean(p.seeds)).toFixed(1)}" r="8"/>`).join("")}
         ${points.map((p, i) => `<text x="${x(i).toFixed(1)}" y="142" text-anchor="middle">${p.value}</text>`).join("")}`;
      const list = points.map((p) => `${p.value}: ${p[key] ? signed(mean(p[key]), digits) : "on another scale"}`);
      svg.setAttribute("aria-label", `${title}, mean of the seeds by ${setting.value}. ${list.join(", ")}.`);
      return at.reduce((a, b) => (mean(b.seeds) > mean(a.seeds) ? b : a)).value;
    }

    function draw() {
      const points = columns[column.value][setting.value];
      const bound = panel($(".elbo"), "ELBO of held-out normal examples, nats", points, "elbo", 1);
      const area = panel($(".auroc"), "AUROC", points, "auroc", 3);
      const own = points.find((point) => point.own).value;
      const best = bound === area ? `Both means are largest at ${bound}.` : `The mean ELBO is largest at ${bound}, the mean AUROC at ${area}.`;
      $(".said").textContent = `${best} The ring marks the default, ${own}; each small dot is a seed.`;
    }

    const say = () => (draw(), ($(".status").textContent = `${setting.value}, ${column.value}. ${$(".said").textContent}`));
    column.onchange = () => (offer(), say());
    setting.onchange = say;
    $(".next").onclick = () => ((setting.selectedIndex = (setting.selectedIndex + 1) % setting.length), say());
    offer();
    new ResizeObserver(draw).observe($("section"));
    return draw;
  }

  live.figures.settings = { html, start };
})((window.vaeLive = window.vaeLive || {}));
