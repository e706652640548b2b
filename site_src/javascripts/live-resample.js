// Pictures resized as Pillow resizes them, so that a network in the browser is given the very pixels that it is
// given in Python; a canvas resizes otherwise. Weights have 22 bits, and values are rounded to 8 bits between
// the two passes (Pillow, src/libImaging/Resample.c). Sizes and crops are those of generator/inputs/images.py.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const ONE = 2 ** 22;
  const NARROW = 8; // times as long as wide
  const STRIP = 2 ** 19; // pixels that are worked on before the page may answer again
  const float = Math.fround;
  const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
  // Each with how far it reaches.
  const FILTERS = {
    box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (x === 0 ? 1 : float(0.54) + float(0.46) * Math.cos(x * Math.PI)))],
    bicubic: [2, (x) => cubic(Math.abs(x))],
    lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
  };

  function cubic(x) {
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  }

  // What each of `size` pixels from `start` on is mixed from, where the part from `low` to `high` of a line of
  // `side` pixels becomes `count` pixels: the first pixel of the line, how many, and their weights.
  function taps({ side, low, high, count, start }, size, method) {
    const scale = float(high - low) / count;
    if (method === "nearest") return nearest(low, scale, side, start, size);
    const wide = Math.max(1, scale);
    const [reach, filter] = FILTERS[method];
    const width = Math.ceil(reach * wide) * 2 + 1;
    const found = { first: new Int32Array(size), many: new Int32Array(size), width, weights: new Float64Array(size * width) };
    for (let place = 0; place < size; place += 1) {
      const centre = low + (start + place + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - reach * wide + 0.5));
      const many = Math.min(side, Math.trunc(centre + reach * wide + 0.5)) - first;
      const own = found.weights.subarray(place * width, place * width + many);
      for (let i = 0; i < many; i += 1) own[i] = filter((i + first - centre + 0.5) * (1 / wide));
      const sum = own.reduce((total, one) => total + one, 0);
      if (sum !== 0) for (let i = 0; i < many; i += 1) own[i] /= sum;
      found.first[place] = first;
      found.many[place] = many;
    }
    return found;
  }

  // Pillow adds step to step, which rounds otherwise than a product.
  function nearest(low, scale, side, start, size) {
    const found = { first: new Int32Array(size), many: new Int32Array(size).fill(1), width: 1, weights: new Float64Array(size).fill(1) };
    let at = low + scale * 0.5;
    for (let place = 0; place < start + size; place += 1, at += scale) {
      if (place >= start) found.first[place - start] = Math.min(side - 1, Math.floor(at));
    }
    return found;
  }

  const fixed = (weights) => Int32Array.from(weights, (one) => Math.trunc(one * ONE + (one < 0 ? -0.5 : 0.5)));

  // Mix RGB values along one axis. `from` and `to` have the distances, in bytes, from a pixel to the next along
  // that axis, and from a line to the next.
  function mix(source, from, target, to, lines, { first, many, width, weights }) {
    for (let line = 0; line < lines; line += 1) {
      for (let place = 0; place < first.length; place += 1) {
        let red = ONE / 2, green = ONE / 2, blue = ONE / 2;
        let at = line * from[1] + first[place] * from[0];
        const end = place * width + many[place];
        for (let tap = place * width; tap < end; tap += 1, at += from[0]) {
          red += Math.imul(weights[tap], source[at]);
          green += Math.imul(weights[tap], source[at + 1]);
          blue += Math.imul(weights[tap], source[at + 2]);
        }
        const out = line * to[1] + place * to[0];
        target[out] = red >> 22; // clamped to a byte
        target[out + 1] = green >> 22;
        target[out + 2] = blue >> 22;
      }
    }
  }

  // Which pixels of a side are resized, to how many, and where the square begins among those. Of a long and
  // narrow picture only what lies near the square is.
  function axis(side, resized, start, size, narrow) {
    if (!narrow) return { offset: 0, side, low: 0, high: side, count: resized, start };
    const step = side / resized;
    const margin = Math.ceil(3 * Math.max(1, 1 / step));
    const [low, high] = [Math.max(0, start - margin), Math.min(resized, start + size + margin)];
    const reach = Math.ceil(3 * Math.max(1, step));
    const offset = Math.max(0, Math.floor(low * step) - reach);
    const near = Math.min(side, Math.ceil(high * step) + reach) - offset;
    return { offset, side: near, low: float(low * step - offset), high: float(high * step - offset), count: high - low, start: start - low };
  }

  function even(value) {
    const below = Math.floor(value);
    return value - below === 0.5 ? below + (below % 2) : Math.round(value);
  }

  function plan(width, height, how) {
    const short = Math.max(how.size, Math.floor(how.size / how.crop + 1e-6));
    const smaller = Math.min(width, height);
    const shape = [width, height].map((side) => (how.fit === "squeeze" ? short : Math.floor((short * side) / smaller)));
    const whole = how.rounding === "tensors" ? Math.floor : even;
    const narrow = Math.max(...shape) > NARROW * short;
    return [width, height].map((side, i) => axis(side, shape[i], whole((shape[i] - how.size) / 2), how.size, narrow));
  }

  // The taps, with what lies outside of them left away: [taps, first pixel of the whole side, how many].
  function needed(line, how) {
    const found = taps(line, how.size, how.interpolation);
    const low = Math.min(...found.first);
    const high = Math.max(...found.first.map((one, i) => one + found.many[i]));
    return [{ ...found, first: found.first.map((one) => one - low), weights: fixed(found.weights) }, line.offset + low, high - low];
  }

  // Which way Pillow goes first: down where that is less work, by a rule that its version 13 changed.
  function downFirst(across, down, { rounding, pillow }) {
    if (rounding === "tensors") return false;
    const less = down.side - down.count;
    return less > 0 && (pillow < 13 ? down.side > 100 * across.side : less > 2 * (across.side - across.count));
  }

  // The square that a network sees, as RGB bytes row by row. `read(left, top, width, height)` gives a part of the
  // picture as RGBA bytes; the page can answer between two parts.
  async function see(width, height, how, read) {
    const { size } = how;
    const [across, down] = plan(width, height, how);
    const [columns, left, wide] = needed(across, how);
    const [rows, top, high] = needed(down, how);
    const first = downFirst(across, down, how);
    const [long, lines] = first ? [high, wide] : [wide, high];
    const half = new Uint8ClampedArray(size * lines * 3); // of `size` columns, or of `size` rows
    const strip = Math.max(1, Math.floor(STRIP / long));
    for (let at = 0; at < lines; at += strip) {
      const many = Math.min(strip, lines - at);
      if (first) mix(read(left + at, top, many, high), [many * 4, 4], half.subarray(at * 3), [wide * 3, 3], many, rows);
      else mix(read(left, top + at, wide, many), [4, wide * 4], half.subarray(at * size * 3), [3, size * 3], many, columns);
      await new Promise((done) => setTimeout(done));
    }
    const seen = new Uint8ClampedArray(size * size * 3);
    if (first) mix(half, [3, wide * 3], seen, [3, size * 3], size, columns);
    else mix(half, [size * 3, 3], seen, [size * 3, 3], size, rows);
    return seen;
  }

  // Normalised, channel by channel, in single precision at each step as numpy does.
  function pixels(seen, how) {
    const count = seen.length / 3;
    const found = new Float32Array(seen.length);
    for (let channel = 0; channel < 3; channel += 1) {
      const mean = float(how.mean[channel]), deviation = float(how.std[channel]);
      for (let i = 0; i < count; i += 1) {
        found[channel * count + i] = float(float(seen[3 * i + channel] / 255) - mean) / deviation;
      }
    }
    return found;
  }

  // A map (rows, columns) of numbers enlarged to `size` by `size` with bicubic weights, in double precision.
  function enlarge(values, rows, columns, size) {
    const line = (side) => taps({ side, low: 0, high: side, count: size, start: 0 }, size, "bicubic");
    const along = (source, step, lines, next, { first, many, width, weights }) => {
      const found = new Float64Array(lines * size);
      for (let i = 0; i < lines; i += 1) {
        for (let place = 0; place < size; place += 1) {
          let sum = 0;
          for (let t = 0; t < many[place]; t += 1) sum += weights[place * width + t] * source[i * next + (first[place] + t) * step];
          found[i * size + place] = sum;
        }
      }
      return found;
    };
    const thin = along(values, 1, rows, columns, line(columns)); // rows by size
    const turned = along(thin, size, size, 1, line(rows)); // columns first
    const found = new Float64Array(size * size);
    for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) found[y * size + x] = turned[x * size + y];
    return found;
  }

  return { see, pixels, enlarge };
})());
