// How numbers of a picture are drawn and written: the colours of generator/figures (style.py, overlay.py), and
// the digits of generator/formatting.py.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const { enlarge } = globalThis.cutawayPicture;
  const COVER = 0.72;
  const SMALLEST = 160;
  // matplotlib's magma, berlin, and inferno from a quarter on, each at 21 even places.
  const RAMPS = {
    positive: "00000406051a140e362512553b0f7051127c641a807822818c2981a1307eb73779ca3e72de4968ed5a5ff7705cfc8961fe9f6dfeb77efecf92fde7a9fcfdbf",
    signed: "9eb0ff82adf262a6e04497c63280a628688620526a173c4d11273211161b190c09260d013710004a150261200b7d341e964a36b06253ca7b71e59590ffadad",
    heat: "57106e65156e751b6e84206b932667a32c61b1325ac03a51cc4248d94d3de45a31ec6726f37819f8870efb9906fcac11fbbe23f7d13df3e35af2f482fcffa4",
  };
  for (const [name, stops] of Object.entries(RAMPS)) RAMPS[name] = ramp(stops.match(/../g).map((two) => parseInt(two, 16)));

  function ramp(stops) {
    const last = stops.length / 3 - 1;
    return Float32Array.from({ length: 3 * 256 }, (_, i) => {
      const at = (Math.floor(i / 3) / 255) * last;
      const low = Math.min(Math.floor(at), last - 1);
      const [from, to] = [stops[3 * low + (i % 3)], stops[3 * low + 3 + (i % 3)]];
      return from + (to - from) * (at - low);
    });
  }

  const level = (share) => 3 * Math.round(255 * Math.max(0, Math.min(1, share)));

  // A map (rows, columns), one pixel a position: from zero to `most`, or from its negative on where it is `signed`.
  function tile(canvas, values, columns, most, signed) {
    const [width, height] = [columns, values.length / columns];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(width, height);
    const colours = signed ? RAMPS.signed : RAMPS.positive;
    values.forEach((value, i) => {
      const share = most > 0 ? value / most : 0;
      const at = level(signed ? (share + 1) / 2 : share);
      image.data.set([colours[at], colours[at + 1], colours[at + 2], 255], 4 * i);
    });
    pen.putImageData(image, 0, 0);
  }

  // A picture without its colours, as Pillow makes it grey, at a whole multiple of its size that can be seen.
  function greyOf(seen, side) {
    const grey = new Float64Array(side * side);
    for (let i = 0; i < grey.length; i += 1) {
      grey[i] = (19595 * seen[3 * i] + 38470 * seen[3 * i + 1] + 7471 * seen[3 * i + 2] + 32768) >> 16;
    }
    const times = Math.ceil(SMALLEST / side);
    return times > 1 ? enlarge(grey, side, side, side * times).map((one) => Math.max(0, Math.min(255, Math.round(one)))) : grey;
  }

  // Evidence, or the response of a unit, up to `most`, over the grey picture.
  function over(canvas, grey, { values, rows, columns }, most) {
    const side = Math.sqrt(grey.length);
    Object.assign(canvas, { width: side, height: side });
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(side, side);
    const large = enlarge(values, rows, columns, side);
    for (let i = 0; i < grey.length; i += 1) {
      const share = most > 0 ? Math.max(0, Math.min(1, large[i] / most)) : 0;
      const at = level(share), cover = COVER * share;
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = (1 - cover) * grey[i] + cover * RAMPS.heat[at + c];
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }

  // RGB bytes as they are.
  function plain(canvas, seen, side) {
    Object.assign(canvas, { width: side, height: side });
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(side, side);
    for (let i = 0; i < side * side; i += 1) image.data.set([seen[3 * i], seen[3 * i + 1], seen[3 * i + 2], 255], 4 * i);
    pen.putImageData(image, 0, 0);
  }

  // For long work: `await breath()` now and then lets the page answer, when it has not for a while.
  function breathing() {
    let last = performance.now();
    return async () => {
      if (performance.now() - last < 30) return;
      await new Promise((done) => setTimeout(done));
      last = performance.now();
    };
  }

  // Words.

  const { number, percent } = globalThis.cutawayNumbers;

  // Where a map is largest, in words.
  function placeOf({ values, rows, columns }, at) {
    const down = ["at the top", "in the middle", "at the bottom"][Math.floor((3 * Math.floor(at / columns)) / rows)];
    return `${down}, ${["left", "centre", "right"][Math.floor((3 * (at % columns)) / columns)]}`;
  }

  return { tile, over, plain, greyOf, breathing, number, percent, placeOf };
})());
