// A slate to draw on with mouse, finger, pen or keyboard. It keeps strokes, not pixels, so that a
// stroke can be taken back and every drawing can be given the line width that a model expects.
(function (live) {
  const SIDE = 280, PAD = 60; // the slate, and the room around it that a bold line may need
  const STEP = 12; // of the arrow keys
  const SMALLEST = 40; // a drawing of less extent is a dot or a slip, and no digit
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  live.pens = { thin: 1.9, medium: 2.7, bold: 4.2 }; // width of a line when the digit has 20 pixels

  // `begin` is called before a stroke, `change` while it grows, `settle` when it is finished; the
  // last takes words for a screen reader, if there are other words to say than the verdict.
  live.slate = (canvas, { begin, change, settle }) => {
    const paper = canvas.getContext("2d");
    const raster = live.make("canvas", { width: SIDE + 2 * PAD, height: SIDE + 2 * PAD });
    const film = raster.getContext("2d", { willReadFrequently: true });
    const slate = { pen: "medium", side: 2 * SIDE, clear, undo, ink, draw, isEmpty: () => !strokes.length };
    let strokes = [], cursor = null, isDown = false;

    function clear() {
      strokes = [];
      lift();
    }

    function undo() {
      strokes.pop();
      lift();
    }

    // Whatever draws next begins a stroke of its own.
    function lift() {
      isDown = false;
      hand.release();
    }

    function trace(context, width, colour) {
      Object.assign(context, { lineWidth: width, strokeStyle: colour, lineCap: "round", lineJoin: "round" });
      for (const stroke of strokes) {
        context.beginPath();
        stroke.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
        if (stroke.length === 1) context.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
        context.stroke();
      }
    }

    // The drawing as pixels of 0..1, made into the form of an MNIST image; null while there is too little
    // of it. The line is as wide as a pen's on a digit of 20 pixels, however large the drawing is.
    function ink() {
      const points = strokes.flat(), spread = (i) => Math.max(...points.map((p) => p[i])) - Math.min(...points.map((p) => p[i]));
      const width = live.pens[slate.pen], extent = points.length ? Math.max(spread(0), spread(1)) : 0;
      if (extent < SMALLEST) return null;
      film.fillStyle = "#000";
      film.fillRect(0, 0, raster.width, raster.height);
      film.save();
      film.translate(PAD, PAD);
      trace(film, Math.max(12, (extent * width) / (20 - width)), "#fff");
      film.restore();
      const { data } = film.getImageData(0, 0, raster.width, raster.height);
      const grey = Float64Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] / 255);
      return live.prepare(grey, raster.width, raster.height);
    }

    // Paper, a picture on it if one is given, the strokes, and the keyboard's cursor while it is used.
    function draw(picture, isDark) {
      paper.fillStyle = `rgb(${live.ink(0, isDark)})`;
      paper.fillRect(0, 0, canvas.width, canvas.height);
      paper.imageSmoothingEnabled = false;
      if (picture) paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
      paper.save();
      paper.scale(2, 2);
      trace(paper, 8 * live.pens[slate.pen], `rgb(${live.ink(1, isDark)})`);
      if (cursor && canvas.getRootNode().activeElement === canvas) {
        Object.assign(paper, { strokeStyle: isDown ? "#d55e00" : "#7a3cff", lineWidth: 2 });
        paper.strokeRect(cursor[0] - 7, cursor[1] - 7, 14, 14);
      }
      paper.restore();
    }

    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
    };
    const hand = live.drag(canvas, {
      begin: (event) => {
        begin();
        lift();
        cursor = null;
        strokes.push([at(event)]);
        change();
      },
      move: (event) => {
        const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
        strokes.at(-1).push(...(events.length ? events : [event]).map(at));
        change();
      },
      end: () => settle(),
    });

    canvas.addEventListener("keydown", (event) => {
      if (event.key !== " " && !MOVES[event.key]) return;
      event.preventDefault();
      cursor = cursor || [SIDE / 2, SIDE / 2];
      if (event.key === " ") {
        if (hand.isHeld()) return;
        begin();
        isDown = !isDown;
        if (isDown) strokes.push([[...cursor]]);
        settle(isDown ? "Pen down" : undefined);
      } else {
        cursor = cursor.map((v, i) => Math.min(SIDE - 10, Math.max(10, v + STEP * MOVES[event.key][i])));
        if (isDown) strokes.at(-1).push([...cursor]);
        change();
      }
    });
    canvas.addEventListener("blur", () => {
      isDown = false;
      change();
    });
    return slate;
  };
})((window.vaeLive = window.vaeLive || {}));
