// Weights as a site ships them, back to float32: the codecs of generator/live/pack.py, bit for bit. One
// function that makes the tools, so that its own text can be put into a worker.
globalThis.cutawayDecode = () => {
  const BLOCK = 32; // values that share a scale

  function base64(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text);
    const found = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) found[i] = raw.charCodeAt(i);
    return found;
  }

  const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
    let rest = byte;
    for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
    return rest;
  });

  // The checksum of zlib, gzip and PNG.
  function crc32(bytes) {
    let rest = 0xffffffff;
    for (let i = 0; i < bytes.length; i += 1) rest = TABLE[(rest ^ bytes[i]) & 255] ^ (rest >>> 8);
    return (rest ^ 0xffffffff) >>> 0;
  }

  async function gunzip(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Half precision: a sign, five bits of exponent, ten of fraction.
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  }

  const blocks = (tensor) => Math.ceil(tensor.count / BLOCK);
  const codecs = {
    f32: {
      size: ({ count }) => 4 * count,
      decode: (tensor, bytes, found) => found.set(new Float32Array(bytes.buffer)),
    },
    i16: {
      size: (tensor) => 4 * blocks(tensor) + 2 * tensor.count,
      decode(tensor, bytes, found) {
        const scales = new Float32Array(bytes.buffer, 0, blocks(tensor));
        const whole = new Int16Array(bytes.buffer, 4 * scales.length, tensor.count);
        // The product is exact in double precision, and rounded once when it is stored.
        for (let i = 0; i < whole.length; i += 1) found[i] = scales[i >> 5] * whole[i];
      },
    },
    affine: {
      size: (tensor) => 4 * blocks(tensor) + Math.ceil((tensor.count * tensor.bits) / 8),
      decode(tensor, bytes, found) {
        const count = blocks(tensor);
        const [steps, starts] = [0, 2 * count].map((at) => Float32Array.from(new Uint16Array(bytes.buffer, at, count), half));
        const whole = bytes.subarray(4 * count);
        for (let i = 0; i < tensor.count; i += 1) {
          const value = tensor.bits === 8 ? whole[i] : (whole[i >> 1] >> (4 * (i & 1))) & 15; // the low half first
          found[i] = steps[i >> 5] * value + starts[i >> 5];
        }
      },
    },
  };

  // Bytes of all tensors as they are packed, each filled up to four, and how many floats they are.
  function totals(tensors) {
    const end = (last, next) => Math.max(last, next);
    return {
      bytes: tensors.map((one) => one.start + 4 * Math.ceil(codecs[one.codec].size(one) / 4)).reduce(end, 0),
      floats: tensors.map((one) => one.at + one.count).reduce(end, 0),
    };
  }

  // One tensor of the packed bytes into its place among the decoded floats.
  function decode(tensor, packed, floats) {
    const codec = codecs[tensor.codec];
    const bytes = packed.slice(tensor.start, tensor.start + codec.size(tensor)); // aligned
    const found = floats.subarray(tensor.at, tensor.at + tensor.count);
    codec.decode(tensor, bytes, found);
    if (tensor.turned) turn(tensor.shape, found.slice(), found);
  }

  // A matrix whose columns were stored one after the other.
  function turn([rows, columns], values, found) {
    for (let column = 0; column < columns; column += 1) {
      for (let row = 0; row < rows; row += 1) found[row * columns + column] = values[column * rows + row];
    }
  }

  return { base64, crc32, gunzip, totals, decode };
};
