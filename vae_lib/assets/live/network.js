// The forward pass of a Keras network, as in chapter 3. An image is a flat list of numbers: row by
// row, channels last. A layer is an object with its sizes, its `kernel` and its `bias`.
(function (live) {
  const activations = {
    linear: (x) => x,
    relu: (x) => Math.max(0, x),
    sigmoid: (x) => 1 / (1 + Math.exp(-x)), // from logits to pixels, equation (2.2)
  };

  // Dense: out_j = b_j + sum over i of x_i W_ij
  function dense(x, { kernel, bias }) {
    const out = Float64Array.from(bias), n = out.length;
    for (let i = 0; i < x.length; i++)
      for (let j = 0; j < n; j++) out[j] += x[i] * kernel[i * n + j];
    return out;
  }

  // Conv2D, "same": a position of the output looks at k x k positions of the input around r * stride,
  // c * stride; equation (3.1) gives the size of the output.
  function conv(x, layer) {
    const { bias, channels, filters } = layer, out = new Float64Array(layer.out ** 2 * filters);
    for (let i = 0; i < out.length; i++) out[i] = bias[i % filters];
    pairs(layer.size, layer.out, layer, (large, small, tap) => {
      for (let c = 0; c < channels; c++)
        for (let f = 0; f < filters; f++)
          out[small * filters + f] +=
            x[large * channels + c] * layer.kernel[(tap * channels + c) * filters + f];
    });
    return out;
  }

  // Conv2DTranspose, "same": the same pairs of positions, the other way round. A position of the
  // input adds its kernel to k x k positions of the output, which is `stride` times as large.
  function convTransposed(x, layer) {
    const { bias, channels, filters } = layer, out = new Float64Array(layer.out ** 2 * filters);
    for (let i = 0; i < out.length; i++) out[i] = bias[i % filters];
    pairs(layer.out, layer.size, layer, (large, small, tap) => {
      for (let f = 0; f < filters; f++)
        for (let c = 0; c < channels; c++)
          out[large * filters + f] +=
            x[small * channels + c] * layer.kernel[(tap * filters + f) * channels + c];
    });
    return out;
  }

  // Every pair (position on the large map, position on the small map) that a kernel's tap connects.
  function pairs(large, small, { k, stride }, visit) {
    const margin = Math.max(0, (small - 1) * stride + k - large) >> 1; // the smaller half is in front
    for (let r = 0; r < small; r++)
      for (let c = 0; c < small; c++)
        for (let i = 0; i < k; i++)
          for (let j = 0; j < k; j++) {
            const y = r * stride + i - margin, x = c * stride + j - margin;
            if (y >= 0 && y < large && x >= 0 && x < large)
              visit(y * large + x, r * small + c, i * k + j);
          }
  }

  const kinds = { dense, conv, convTransposed };
  const run = (layers, x) =>
    layers.reduce((h, layer) => kinds[layer.kind](h, layer).map(activations[layer.activation]), x);

  // z is the posterior mean, and the copy is E[x given z].
  const reconstruct = (model, x) => run(model.decoder, run(model.encoder, x));

  // Each pixel's share in the relative error, equation (6.3): the signed error, averaged over the
  // 3 x 3 pixels around that lie inside the image, squared, as a share of the image's energy.
  function heat(x, copy, size = 28) {
    const out = new Float64Array(x.length), energy = sum(x.map((v) => v * v)) + 1e-6;
    for (let r = 0; r < size; r++)
      for (let c = 0; c < size; c++) {
        let error = 0, n = 0;
        for (let y = Math.max(0, r - 1); y <= Math.min(size - 1, r + 1); y++)
          for (let x_ = Math.max(0, c - 1); x_ <= Math.min(size - 1, c + 1); x_++, n++)
            error += x[y * size + x_] - copy[y * size + x_];
        out[r * size + c] = (error / n) ** 2 / energy;
      }
    return out;
  }

  const sum = (values) => values.reduce((a, b) => a + b, 0);

  // Conformal p-value, equation (8.4): the share of calibration scores at least as high, itself counted.
  const pValue = (calibration, score) =>
    (1 + calibration.filter((s) => s >= score).length) / (calibration.length + 1);

  // Weights come as base64 of 16-bit floats, in the order of the layers: kernel, bias, kernel, bias.
  function load(layers, base64) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const half = new DataView(bytes.buffer);
    let at = 0;
    const take = (n) => Float64Array.from({ length: n }, () => toNumber(half.getUint16(2 * at++, true)));
    return layers.map((layer) => ({ ...layer, kernel: take(layer.weights), bias: take(layer.filters) }));
  }

  // A 16-bit float: one bit of sign, five of exponent, ten of fraction.
  function toNumber(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
  }

  live.network = { run, reconstruct, heat, sum, pValue, load };
})((window.vaeLive = window.vaeLive || {}));
