// What MNIST's authors did to their scans, done to a drawing: cut out the ink, scale it so that its
// longest side has 20 pixels, and put its centre of mass into the middle of 28 x 28.
(function (live) {
  // ink: Float64Array in 0..1, width x height, row by row. Returns 784 numbers in 0..1, or null.
  function prepare(ink, width, height) {
    let top = height, bottom = -1, left = width, right = -1;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        if (ink[y * width + x] > 0) {
          top = Math.min(top, y), bottom = Math.max(bottom, y);
          left = Math.min(left, x), right = Math.max(right, x);
        }
    if (bottom < 0) return null;
    const h = bottom - top + 1, w = right - left + 1, side = Math.max(h, w) / 20;
    const rows = Math.max(1, Math.round(h / side)), columns = Math.max(1, Math.round(w / side));

    // Each small pixel is the mean of the area that it covers.
    const small = new Float64Array(rows * columns);
    let mass = 0, massY = 0, massX = 0;
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const y = [top + (r * h) / rows, top + ((r + 1) * h) / rows];
        const x = [left + (c * w) / columns, left + ((c + 1) * w) / columns];
        const v = areaMean(ink, width, y, x);
        small[r * columns + c] = v;
        mass += v, massY += v * r, massX += v * c;
      }

    const out = new Float64Array(784);
    const dy = Math.round(14 - massY / mass), dx = Math.round(14 - massX / mass);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++)
        if (r + dy >= 0 && r + dy < 28 && c + dx >= 0 && c + dx < 28)
          out[(r + dy) * 28 + c + dx] = small[r * columns + c];
    return out;
  }

  function areaMean(ink, width, [y0, y1], [x0, x1]) {
    let total = 0;
    for (let y = Math.floor(y0); y < y1; y++)
      for (let x = Math.floor(x0); x < x1; x++) {
        const part = (Math.min(y + 1, y1) - Math.max(y, y0)) * (Math.min(x + 1, x1) - Math.max(x, x0));
        total += part * (ink[y * width + x] || 0);
      }
    return total / ((y1 - y0) * (x1 - x0));
  }

  live.prepare = prepare;
})((window.vaeLive = window.vaeLive || {}));
