// The figure "latent": drag a point over the latent plane, and watch the decoder.
(function (live) {
  const TILES = 15;
  const html = `
    <section aria-label="Live figure: a point on the latent plane and what the decoder makes of it">
      <div class="pair">
        <div>
          <h3 id="name">Drag the point over the latent plane</h3>
          <div class="plane frame" tabindex="0" role="application" aria-labelledby="name" aria-describedby="keys">
            <canvas class="codes" aria-hidden="true"></canvas><canvas class="grid" aria-hidden="true" hidden></canvas>
            <div class="point" aria-hidden="true"></div>
          </div>
          <p class="unseen" id="keys">Arrow keys move the point by a tenth, with shift by a half; Home brings it to the middle.</p>
          <div class="row tools" role="group" aria-label="What the plane shows">
            <button class="show-codes" aria-pressed="true">Test digits</button>
            <button class="show-grid" aria-pressed="false">Decoded map</button>
            <button class="walk">Walk</button>
          </div>
        </div>
        <div class="outcome">
          <h3>What the decoder makes of it</h3>
          <div class="frame"><canvas class="decoded" role="img"></canvas></div>
          <p class="readout"><b class="z"></b><br><span class="near"></span></p>
          <p class="unseen status" role="status" aria-live="polite"></p>
        </div>
      </div>
    </section>`;
  // One hue a digit, in a light and a dark kind; the numeral itself says which digit it is.
  const HUES = [205, 25, 130, 0, 270, 20, 320, 60, 185, 235];

  function start(root, $) {
    const plane = live.plane, pad = $(".plane"), codes = decodeCodes(plane);
    let z = plane.start.slice(), walking = 0, tiles = null, view = "codes";

    const decoder = live.network.load(plane.decoder, plane.weights);
    const decode = (at) => live.network.run(decoder, at);
    const clamp = (v) => Math.min(plane.range, Math.max(-plane.range, v));
    const onPad = ([x, y]) => [(x / plane.range + 1) / 2, (1 - y / plane.range) / 2];

    function near() {
      const distance = ([x, y]) => (x - z[0]) ** 2 + (y - z[1]) ** 2;
      const found = [...codes].sort((a, b) => distance(a.at) - distance(b.at)).slice(0, 5);
      const far = Math.sqrt(distance(found[0].at));
      const names = found.map((code) => code.digit).join(", ");
      return far > 0.5 ? "No test digit is near: the decoder makes something up." : `The nearest test digits: ${names}.`;
    }

    function move(to) {
      z = to.map(clamp);
      const [x, y] = onPad(z);
      Object.assign($(".point").style, { left: `${100 * x}%`, top: `${100 * y}%` });
      live.paint($(".decoded"), decode(z));
      $(".z").textContent = `z = (${number(z[0])}, ${number(z[1])})`;
      $(".near").textContent = near();
      $(".decoded").setAttribute("aria-label", `Image decoded at ${$(".z").textContent}. ${near()}`);
    }
    const announce = () => ($(".status").textContent = `${$(".z").textContent}. ${near()}`);

    // The codes of test digits as numerals, and circles at one, two and three deviations of the prior.
    function drawCodes() {
      const canvas = $(".codes"), side = (canvas.width = canvas.height = 1080), context = canvas.getContext("2d");
      const dark = root.host.dataset.look === "dark";
      context.fillStyle = `rgb(${live.ink(0, dark)})`;
      context.fillRect(0, 0, side, side);
      Object.assign(context, { textAlign: "center", textBaseline: "middle", lineWidth: 2, strokeStyle: dark ? "#3a4250" : "#dfe3e9" });
      for (const deviations of [1, 2, 3]) {
        context.beginPath();
        context.arc(side / 2, side / 2, (deviations / plane.range / 2) * side, 0, 7);
        context.stroke();
      }
      context.font = "600 24px system-ui, sans-serif";
      for (const { at, digit } of codes) {
        const [x, y] = onPad(at);
        context.fillStyle = `hsl(${HUES[digit]} ${digit % 2 ? 75 : 60}% ${dark ? 68 : 36}%)`;
        context.fillText(digit, x * side, y * side);
      }
    }

    // The map takes a few hundred passes: one row at a time, so that the page stays awake.
    function drawGrid() {
      const canvas = $(".grid"), context = canvas.getContext("2d");
      const row = (r) => Array.from({ length: TILES }, (_, c) => decode([c, TILES - 1 - r].map((k) => plane.range * ((2 * k + 1) / TILES - 1))));
      canvas.width = canvas.height = 28 * TILES;
      const tile = live.make("canvas");
      const paintRow = (r) => tiles[r].forEach((pixels, c) => (live.paint(tile, pixels), context.drawImage(tile, 28 * c, 28 * r)));
      tiles = tiles || [];
      tiles.forEach((_, r) => paintRow(r));
      const next = () => {
        if (tiles.length >= TILES) return (canvas.dataset.complete = true);
        const r = tiles.length;
        tiles.push(row(r));
        paintRow(r);
        setTimeout(next);
      };
      next();
    }

    function look(which) {
      view = which;
      $(".codes").hidden = which !== "codes";
      $(".grid").hidden = which !== "grid";
      $(".show-codes").setAttribute("aria-pressed", which === "codes");
      $(".show-grid").setAttribute("aria-pressed", which === "grid");
      (which === "codes" ? drawCodes : drawGrid)();
    }

    function walk() {
      const goal = codes[Math.floor(Math.random() * codes.length)].at, from = z.slice(), begin = performance.now();
      cancelAnimationFrame(walking);
      const step = (now) => {
        const share = live.calm() ? 1 : Math.min(1, Math.max(0, (now - begin) / 1500)), eased = share * share * (3 - 2 * share);
        move(from.map((v, i) => v + (goal[i] - v) * eased));
        if (share < 1) walking = requestAnimationFrame(step);
        else announce();
      };
      step(begin);
    }

    const follow = (event) => {
      cancelAnimationFrame(walking);
      const box = pad.getBoundingClientRect();
      move([((event.clientX - box.left) / box.width) * 2 - 1, 1 - ((event.clientY - box.top) / box.height) * 2].map((v) => v * plane.range));
    };
    live.drag(pad, { begin: follow, move: follow, end: announce });
    const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    pad.addEventListener("keydown", (event) => {
      const by = MOVES[event.key], step = event.shiftKey ? 0.5 : 0.1;
      if (!by && event.key !== "Home") return;
      event.preventDefault();
      cancelAnimationFrame(walking);
      move(by ? z.map((v, i) => v + step * by[i]) : [0, 0]);
      announce();
    });
    $(".show-codes").onclick = () => look("codes");
    $(".show-grid").onclick = () => look("grid");
    $(".walk").onclick = walk;
    return () => (look(view), move(z));
  }

  // Codes come as pairs of signed bytes, 127 being the edge of the plane, and their digits as a text.
  function decodeCodes(plane) {
    const bytes = Int8Array.from(atob(plane.codes), (c) => c.charCodeAt(0));
    return [...plane.digits].map((digit, i) => ({ digit, at: [bytes[2 * i], bytes[2 * i + 1]].map((v) => (v / 127) * plane.range) }));
  }

  const number = (v) => v.toFixed(2).replace("-", "\u2212");
  live.figures = live.figures || {};
  live.figures.latent = { html, start };
})((window.vaeLive = window.vaeLive || {}));
