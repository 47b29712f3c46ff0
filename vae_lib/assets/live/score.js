// The figure "score": draw a digit or pick one, and see what the detector makes of it.
(function (live) {
  const html = `
    <section aria-label="Live figure: try the detector">
      <div class="row choose" role="group" aria-label="Which digit is normal?" hidden></div>
      <div class="stage">
        <div>
          <h3>Draw here</h3>
          <div class="slate frame">
            <canvas width="560" height="560" tabindex="0" role="application" aria-label="Drawing area" aria-describedby="how"></canvas>
            <p class="hint" aria-hidden="true"></p>
          </div>
          <p class="unseen" id="how">Draw with mouse or finger. With the keyboard: arrow keys move the
            pen, the space bar puts it down and lifts it. Or choose one of the samples below.</p>
          <div class="row tools" role="group" aria-label="Drawing tools">
            <button class="clear">Clear</button><button class="undo">Undo</button>
            <span class="row pens" role="group" aria-label="Pen"><span class="quiet" aria-hidden="true">pen</span></span>
          </div>
        </div>
        <div>
          <h3>What the detector does</h3>
          <div class="three">
            <figure><div class="frame"><canvas class="seen" role="img" aria-label="What the model sees: the digit, cut out, scaled and centred"></canvas></div>
              <figcaption>What it sees<span class="explain">, cut out and centred</span></figcaption></figure>
            <figure><div class="frame"><canvas class="copy" role="img"></canvas></div>
              <figcaption>What it redraws<span class="explain latents"></span></figcaption></figure>
            <figure><div class="frame"><canvas class="heat" role="img"></canvas></div>
              <figcaption>What it cannot explain<span class="explain">: bright is strange</span></figcaption></figure>
            <dl class="numbers"><div><dt>score</dt><dd class="score"></dd></div>
              <div><dt>threshold</dt><dd class="threshold"></dd></div><div><dt>p-value</dt><dd class="p"></dd></div></dl>
          </div>
        </div>
      </div>
      <div class="verdict"><div class="sign" aria-hidden="true"><span></span></div><div><strong></strong><p></p></div></div>
      <p class="reason"></p>
      <p class="unseen status" role="status" aria-live="polite"></p>
      <div class="ruler"><svg role="img"></svg></div>
      <div class="samples"></div>
    </section>`;

  function start(root, $) {
    const detectors = Object.values(live.detectors);
    for (const { model, weights } of detectors)
      for (const part of ["encoder", "decoder"]) model[part] = live.network.load(model[part], weights[part]);
    let detector = detectors[0], sample = null, last = null, frame = 0;

    const soon = () => (frame = frame || requestAnimationFrame(show));
    const settle = (message) => (show(), announce(message));
    const slate = live.slate($(".slate canvas"), { begin: () => (sample = null), change: soon, settle });

    function judge() {
      const x = sample ? live.pixels(sample.pixels) : slate.ink();
      if (!x) return null;
      const copy = live.network.reconstruct(detector.model, x), heat = live.network.heat(x, copy);
      const score = live.network.sum(heat), p = live.network.pValue(detector.calibration, score);
      return { x, copy, heat, score, p, isAlarm: score > detector.threshold };
    }

    function verdict() {
      const { calibration, plural, name, digit } = detector, n = calibration.length;
      if (!last && !slate.isEmpty())
        return { kind: "", sign: "…", headline: "Go on", text: "There is too little here to judge." };
      if (!last) return { kind: "", sign: "?", headline: "Draw something", text: `Or pick a sample below. ${capital(plural)} are normal here; all else is strange.` };
      const above = Math.round(last.p * (n + 1)) - 1, isRight = sample && last.isAlarm !== (sample.digit === digit);
      const text = [
        `The model cannot explain ${live.percent(last.score)} of the image, most of it ${place(last.heat)}.`,
        `p\u00a0=\u00a0${last.p.toFixed(3)}: ${above || "none"} of ${n} calibration ${plural} scored ${above ? "at least as" : "so"} high.`,
        sample ? `In truth it is ${article(NAMES[sample.digit])}: the detector is ${isRight ? "right" : `wrong, ${last.isAlarm ? "a false alarm" : "a miss"}`}.` : "",
      ].join(" ").trim();
      return last.isAlarm
        ? { kind: "anomaly", sign: "!", headline: `Anomaly: not ${article(name)}`, text }
        : { kind: "normal", sign: "✓", headline: `Normal: passes for ${article(name)}`, text };
    }

    function show() {
      cancelAnimationFrame(frame);
      frame = 0;
      last = judge();
      const blank = new Float64Array(784);
      live.paint($(".seen"), last ? last.x : blank);
      live.paint($(".copy"), last ? last.copy : blank);
      live.paint($(".heat"), last ? last.heat.map((v) => v / detector.brightest) : blank, live.glow);
      slate.draw(sample && $(".seen"), root.host.dataset.look === "dark");

      const isEmpty = slate.isEmpty() && !sample, { kind, sign, headline, text } = verdict();
      $(".undo").disabled = $(".clear").disabled = isEmpty;
      $(".hint").textContent = isEmpty ? `${article(detector.name)}, or anything else` : "";
      $(".copy").setAttribute("aria-label", `What the model redraws: the ${detector.name} that comes nearest`);
      $(".heat").setAttribute("aria-label", last ? `Heat-map: what the model cannot explain is mostly ${place(last.heat)}` : "Heat-map: nothing yet");
      $(".verdict").className = `verdict ${kind}`;
      $(".verdict .sign span").textContent = sign;
      $(".verdict strong").textContent = headline;
      $(".verdict p").textContent = $(".reason").textContent = text;
      $(".numbers .score").textContent = last ? last.score.toFixed(3) : "–";
      $(".numbers .threshold").textContent = detector.threshold.toFixed(3);
      $(".numbers .p").textContent = last ? last.p.toFixed(3) : "–";
      $(".latents").textContent = ` from ${detector.model.encoder.at(-1).filters} numbers`;
      for (const thumb of root.querySelectorAll(".thumb")) thumb.setAttribute("aria-pressed", thumb.sample === sample);
      ruler(kind);
    }

    // The screen reader hears a verdict when a stroke is finished, not at every pixel of it.
    function announce(message) {
      const { headline, text } = verdict();
      const score = last ? ` Score ${last.score.toFixed(3)}, threshold ${detector.threshold.toFixed(3)}.` : "";
      $(".status").textContent = message || `${headline}.${score} ${text}`;
    }

    // The score among the calibration scores, which the p-value counts.
    function ruler(kind) {
      const { calibration, threshold, top, plural } = detector, svg = $(".ruler svg");
      const w = Math.max(260, svg.parentNode.clientWidth), line = 40;
      const at = (score) => 8 + (Math.min(score, top) / top) * (w - 16), cut = at(threshold);
      const ticks = calibration.map((s) => `<line class="tick" x1="${at(s)}" x2="${at(s)}" y1="${line - 14}" y2="${line}"/>`).join("");
      const shape = kind === "anomaly" ? "M0 -9 L9 0 L0 9 L-9 0 Z" : "M-8 0 A8 8 0 1 0 8 0 A8 8 0 1 0 -8 0 Z";
      svg.setAttribute("viewBox", `0 0 ${w} 66`);
      svg.innerHTML =
        `<rect class="beyond" x="${cut}" y="${line - 22}" width="${w - 8 - cut}" height="22"/>${ticks}
         <line class="axis" x1="8" x2="${w - 8}" y1="${line}" y2="${line}"/>
         <line class="cut" x1="${cut}" x2="${cut}" y1="14" y2="${line + 4}"/>
         <text class="strong" x="${cut + 4}" y="12">threshold: anomalies to the right</text>
         <text x="8" y="${line + 20}">0</text>
         <text x="24" y="${line + 20}">thin lines: ${calibration.length} calibration ${plural}</text>
         <text x="${w - 8}" y="${line + 20}" text-anchor="end">score ≥ ${top}</text>
         ${last ? `<path class="mark ${kind}" d="${shape}" transform="translate(${at(last.score)} ${line})"/>` : ""}`;
      const [low, high] = [Math.min(...calibration), Math.max(...calibration)].map((s) => s.toFixed(2));
      svg.setAttribute("aria-label",
        `${calibration.length} calibration scores from ${low} to ${high}, the threshold at ${threshold.toFixed(3)}` +
        (last ? `, and this image at ${last.score.toFixed(3)}` : ""));
    }

    function choose(next) {
      detector = next;
      $(".samples").replaceChildren(...Object.entries(next.samples).map(([title, samples]) => {
        const row = live.make("div", { className: "row" }, ...samples.map((one) => thumbnail(title, one)));
        row.setAttribute("role", "group");
        row.setAttribute("aria-label", title);
        if (!samples.length) row.append(live.make("p", { className: "quiet", textContent: "on none of the validation images" }));
        return live.make("div", {}, live.make("h3", { textContent: title }), row);
      }));
      for (const button of $(".choose").children) button.setAttribute("aria-pressed", button.detector === detector);
    }

    function thumbnail(title, one) {
      const thumb = live.make("button", { className: "thumb", sample: one }, live.make("canvas"));
      live.paint(thumb.firstChild, live.pixels(one.pixels));
      thumb.setAttribute("aria-label", `${title}: ${article(NAMES[one.digit])}`);
      thumb.onclick = () => ((sample = one), slate.clear(), settle());
      return thumb;
    }

    $(".clear").onclick = () => ((sample = null), slate.clear(), settle());
    $(".undo").onclick = () => ((sample = null), slate.undo(), settle());
    for (const name of Object.keys(live.pens)) {
      const button = live.make("button", { textContent: name });
      button.setAttribute("aria-pressed", name === slate.pen);
      button.onclick = () => {
        slate.pen = name;
        for (const other of root.querySelectorAll(".pens button")) other.setAttribute("aria-pressed", other === button);
        settle();
      };
      $(".pens").append(button);
    }
    for (const one of detectors.length > 1 ? detectors : []) {
      const button = live.make("button", { textContent: `${capital(one.plural)} are normal`, detector: one });
      button.onclick = () => {
        if (sample) sample = stranger(one);
        choose(one);
        settle();
      };
      $(".choose").append(button);
      $(".choose").hidden = false;
    }
    choose(detector);
    sample = stranger(detector);
    new ResizeObserver(soon).observe($(".ruler"));
    // In the colours of the new theme; the buttons stay, and with them the keyboard's place.
    return () => {
      for (const thumb of root.querySelectorAll(".thumb")) live.paint(thumb.firstChild, live.pixels(thumb.sample.pixels));
      show();
    };
  }

  // Which ninth of the digit's 20 x 20 pixels holds the most heat, in words.
  function place(heat) {
    const sums = new Array(9).fill(0), third = (k) => Math.min(2, Math.max(0, Math.floor(((k - 4) / 20) * 3)));
    heat.forEach((v, i) => (sums[3 * third(Math.floor(i / 28)) + third(i % 28)] += v));
    return ["at the top left", "at the top", "at the top right", "at the left", "in the middle", "at the right",
      "at the bottom left", "at the bottom", "at the bottom right"][sums.indexOf(Math.max(...sums))];
  }

  const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
  const article = (name) => `${name === "eight" ? "an" : "a"} ${name}`;
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const stranger = (detector) => detector.samples["Other digits"][0];

  live.figures = live.figures || {};
  live.figures.score = { html, start };
})((window.vaeLive = window.vaeLive || {}));
