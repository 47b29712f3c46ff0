// The figure "stream": scores that come one after another and drift, and the alarms of a fixed and
// of an online threshold. No model is behind it: the scores are drawn from a seeded generator.
(function (live) {
  const MEMORY = 200, STEP = 0.04; // as `vae_lib.Stream` has them
  const SHOWN = 600, LAST = 1000, END = 6000; // items: in the picture, in a rate, in a stream
  const SPEED = 0.004; // of the drift, in deviations an item
  const html = `
    <style>
      .course .score { stroke: var(--normal); stroke-width: 3; stroke-linecap: round; opacity: 0.75; }
      .course .online { stroke: var(--focus); stroke-width: 2; fill: none; }
      .course .alarm { stroke: var(--anomaly); stroke-width: 1.5; }
      .knobs { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 1.2rem; margin: 0.6rem 0; }
      .knobs b { font-variant-numeric: tabular-nums; }
      .share { margin-top: 0.6rem; }
    </style>
    <section aria-label="Live figure: a stream that drifts">
      <h3 class="title"></h3>
      <svg class="course" role="img"></svg>
      <div class="knobs">
        <div><p class="quiet">Drift: <b class="shift"></b></p><input class="drift" type="range" aria-label="Drift" min="-2" max="4" step="0.1" value="2"></div>
        <div><p class="quiet">Asked for: <b class="asked"></b></p><input class="rate" type="range" aria-label="False-alarm rate asked for" min="1" max="20" step="1" value="5"></div>
      </div>
      <div class="row">
        <button class="run">Run</button><button class="more">100 items more</button><button class="anew">Begin anew</button>
      </div>
      <div class="tiles">
        <div class="tile"><h3>Fixed threshold</h3><b class="of-fixed"></b></div>
        <div class="tile"><h3>Online threshold</h3><b class="of-online"></b></div>
      </div>
      <p class="quiet share"></p>
      <p class="unseen status" role="status" aria-live="polite"></p>
    </section>`;

  // Uniform numbers, the same in every browser (mulberry32), and normal ones from them.
  live.random = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  live.normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  // What `vae_lib.Stream` does with a score: its p-value among the last `memory`, and equation (11.1).
  live.follow = (calibration, rate, memory = MEMORY, step = STEP) => {
    const sorted = Float64Array.from(calibration).sort(), n = sorted.length;
    const allowed = sorted.findIndex((_, i) => (i + 1) / (n + 1) > rate);
    const threshold = allowed ? sorted[n - (allowed < 0 ? n : allowed)] : Infinity;
    const recent = Float64Array.from({ length: memory }, (_, i) => calibration[i % n]);
    const ranked = recent.slice().sort();
    let count = 0, level = rate;

    const below = (score) => { // how many of `ranked`
      let low = 0, high = memory;
      for (let middle; low < high; ranked[middle] < score ? (low = middle + 1) : (high = middle)) middle = (low + high) >> 1;
      return low;
    };

    return (score) => {
      const place = below(score), pValue = (1 + memory - place) / (1 + memory);
      const lower = Math.floor(level * (1 + memory)); // an alarm is among that many largest
      const cut = lower < 1 ? Infinity : lower > memory ? -Infinity : ranked[memory - lower];
      const found = { score, pValue, level, cut, fixed: score > threshold, online: pValue <= level };
      level += step * (rate - found.online);
      const gone = below(recent[count % memory]);
      if (place > gone) ranked.copyWithin(gone, gone + 1, place)[place - 1] = score;
      else ranked.copyWithin(place + 1, place, gone)[place] = score;
      recent[count++ % memory] = score;
      return Object.assign(found, { threshold });
    };
  };

  function start(root, $) {
    const drift = $(".drift"), rate = $(".rate"), svg = $(".course"), run = $(".run");
    let draws, calibration, shift, follow, items, frame = null;

    function begin(calm) {
      draws = live.random(1);
      calibration = Array.from({ length: 199 }, () => live.normal(draws));
      [shift, items, follow] = [0, [], live.follow(calibration, rate.value / 100)];
      push(calm, 0);
    }

    function push(n, goal = Number(drift.value)) {
      for (; n > 0 && items.length < END; n--) {
        shift += Math.max(-SPEED, Math.min(SPEED, goal - shift));
        items.push(follow(shift + live.normal(draws)));
      }
      if (items.length === END) stop();
    }

    // Another rate: the same scores again, from the first.
    function replay() {
      follow = live.follow(calibration, rate.value / 100);
      items = items.map((item) => follow(item.score));
    }

    const share = (kind) => items.slice(-LAST).filter((item) => item[kind]).length / Math.min(LAST, items.length);

    function draw() {
      const w = Math.max(260, svg.parentNode.clientWidth - 32), h = 262, first = Math.max(0, items.length - SHOWN);
      const at = (i) => (8 + ((i + 0.5) / SHOWN) * (w - 16)).toFixed(1);
      const up = (score) => (24 + ((7.5 - Math.max(-5, Math.min(7.5, score))) / 12.5) * 156).toFixed(1);
      const shown = items.slice(first), ticks = (kind, y) => shown.map((item, i) => (item[kind] ? `M${at(i)} ${y}v13` : "")).join("");
      const fixed = up(items[0].threshold);
      svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
      svg.innerHTML =
        `<path class="score" d="${shown.map((item, i) => `M${at(i)} ${up(item.score)}h0`).join("")}"/>
         <path class="online" d="${shown.map((item, i) => `${i ? "L" : "M"}${at(i)} ${up(item.cut)}`).join("")}"/>
         <line class="cut" x1="8" x2="${w - 8}" y1="${fixed}" y2="${fixed}"/>
         <line class="cut" x1="8" x2="32" y1="8" y2="8"/><text class="strong" x="38" y="12">fixed threshold</text>
         <path class="online" d="M150 8h24"/><text class="strong" x="180" y="12">online</text>
         <text x="8" y="200">alarms of the fixed threshold</text><path class="alarm" d="${ticks("fixed", 205)}"/>
         <text x="8" y="235">alarms of the online threshold</text><path class="alarm" d="${ticks("online", 240)}"/>
         <line class="axis" x1="8" x2="${w - 8}" y1="186" y2="186"/>`;
      $(".title").textContent = `Scores of items ${first + 1} to ${items.length}`;
      const [now, goal] = [shift, Number(drift.value)].map((v) => v.toFixed(1).replace("-", "\u2212"));
      $(".shift").textContent = `${now} \u2192 ${goal}`;
      drift.setAttribute("aria-valuetext", `to ${goal}, now ${now} deviations`);
      rate.setAttribute("aria-valuetext", live.percent(rate.value / 100));
      $(".asked").textContent = live.percent(rate.value / 100);
      $(".of-fixed").textContent = live.percent(share("fixed"), 1);
      $(".of-online").textContent = live.percent(share("online"), 1);
      $(".share").textContent = `false alarms in the last ${Math.min(LAST, items.length)} items; no item is an anomaly`;
      svg.setAttribute("aria-label", `Scores of a stream, two thresholds, and their alarms. ${words()}`);
      $(".more").disabled = run.disabled = items.length === END;
    }

    const words = () => `${items.length} items. False alarms in the last ${Math.min(LAST, items.length)}: fixed threshold ${live.percent(share("fixed"), 1)}, online ${live.percent(share("online"), 1)}; asked for ${live.percent(rate.value / 100)}.`;
    const say = () => (draw(), ($(".status").textContent = words()));

    const stop = () => (cancelAnimationFrame(frame), (frame = null), (run.textContent = "Run"));
    const step = () => ((frame = requestAnimationFrame(step)), push(2), frame === null ? say() : draw());
    run.onclick = () => {
      if (frame !== null) stop(), say();
      else if (live.calm()) push(1000), say(); // no motion is wanted
      else (run.textContent = "Pause"), step();
    };
    $(".more").onclick = () => (push(100), say());
    $(".anew").onclick = () => (begin(300), say());
    drift.oninput = draw;
    rate.oninput = () => (replay(), draw());
    rate.onchange = say;
    begin(300);
    push(700);
    new ResizeObserver(draw).observe($("section"));
    return draw;
  }

  live.figures.stream = { html, start };
})((window.vaeLive = window.vaeLive || {}));
