// A digit drawn by the reader, made into what the network of digits was trained on (Alpaydin & Kaynak 1998): cut
// out, stretched to 20 x 32, its strokes as thick as makes the ink of all digits alike, in the middle of a bitmap of
// 32 x 32 that is counted in squares of 4 x 4. Light ink on a dark ground.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const { make, canvas, ink } = globalThis.cutawayAttention;
  const SIDE = 240; // px
  const PEN = 0.075; // of the board's side
  const BITMAP = 32, SQUARE = 4, WIDE = 20; // px of a bitmap, of the squares in it, and of the digit across
  const INK = 0.305; // the share of ink in the digits of the data set, nearly the same for all ten
  const PENS = [1, 14]; // px of the bitmap
  const STEPS = 8;
  const MOST = 3; // how much more one way is stretched than the other: a line stays one

  // Strokes, each a list of [x, y], as 8 x 8 pixels from 0 to 255, RGBA.
  function digit(strokes) {
    let [thin, thick] = PENS;
    let data = null;
    for (let step = 0; step < STEPS; step += 1) {
      const pen = (thin + thick) / 2;
      data = bitmap(strokes, pen);
      let full = 0;
      for (let i = 3; i < data.length; i += 4) full += data[i] > 127;
      if (full < INK * BITMAP * BITMAP) thin = pen;
      else thick = pen;
    }
    return counted(data);
  }

  function bitmap(strokes, pen) {
    const points = strokes.flat();
    const ends = [0, 1].map((axis) => {
      const all = points.map((one) => one[axis]);
      return [Math.min(...all), Math.max(...all)];
    });
    const fits = [WIDE, BITMAP].map((room, axis) => (room - pen) / Math.max(ends[axis][1] - ends[axis][0], 1e-6));
    const moved = ends.map(([low, high], axis) => {
      const scale = Math.min(fits[axis], MOST * fits[1 - axis]);
      return (value) => (value - (low + high) / 2) * scale + BITMAP / 2;
    });
    const board = make("canvas");
    [board.width, board.height] = [BITMAP, BITMAP];
    const brush = board.getContext("2d", { willReadFrequently: true });
    stroke(brush, strokes.map((one) => one.map((point) => point.map((value, axis) => moved[axis](value)))), pen, "#fff");
    return brush.getImageData(0, 0, BITMAP, BITMAP).data;
  }

  function counted(data) {
    const side = BITMAP / SQUARE;
    const found = new Uint8ClampedArray(side * side * 4).fill(255);
    for (let square = 0; square < side * side; square += 1) {
      const [top, left] = [SQUARE * Math.floor(square / side), SQUARE * (square % side)];
      let count = 0;
      for (let i = 0; i < SQUARE * SQUARE; i += 1) {
        count += data[4 * ((top + Math.floor(i / SQUARE)) * BITMAP + left + (i % SQUARE)) + 3] > 127;
      }
      found.fill(Math.round((count * 255) / (SQUARE * SQUARE)), 4 * square, 4 * square + 3);
    }
    return found;
  }

  function stroke(brush, strokes, width, colour) {
    Object.assign(brush, { lineWidth: width, lineCap: "round", lineJoin: "round", strokeStyle: colour });
    for (const points of strokes) {
      brush.beginPath();
      brush.moveTo(...points[0]);
      for (const [x, y] of points) brush.lineTo(x + 1e-3, y); // a point alone is a dot
      brush.stroke();
    }
  }

  // A drawn digit as an opened picture: what `open` of live-image.js makes of a file.
  function drawn(strokes) {
    const data = digit(strokes);
    const side = BITMAP / SQUARE;
    const read = (left, top, width, height) => {
      const part = new Uint8ClampedArray(4 * width * height);
      for (let y = 0; y < height; y += 1) {
        const from = 4 * ((top + y) * side + left);
        part.set(data.subarray(from, from + 4 * width), 4 * y * width);
      }
      return part;
    };
    return { width: side, height: side, read, notes: new Set(), drawn: true, close() {} };
  }

  // The board that is drawn on; `done` is told of the strokes after each.
  class Board {
    constructor(host, done) {
      Object.assign(this, { done, strokes: [], pointer: null });
      this.canvas = make("canvas", "c-live-board__canvas");
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", "A board to draw one digit on with a finger, a pen or the mouse. With the keyboard choose one of the examples.");
      this.again = make("button", "c-attention__button", "Clear");
      this.again.type = "button";
      this.again.addEventListener("click", () => this.clear());
      const board = make("div", "c-live-board");
      board.append(this.canvas, make("p", "c-look", "Draw one digit, with a finger, a pen or the mouse."), this.again);
      host.append(board);
      this.listen();
      this.draw();
    }

    listen() {
      const { canvas: board } = this;
      board.addEventListener("pointerdown", (event) => {
        if (event.button || this.pointer !== null) return;
        this.pointer = event.pointerId;
        board.setPointerCapture(event.pointerId);
        this.strokes.push([]);
        this.add(event);
      });
      board.addEventListener("pointermove", (event) => {
        if (event.pointerId !== this.pointer) return;
        const all = event.getCoalescedEvents?.() ?? [];
        for (const one of all.length ? all : [event]) this.add(one);
      });
      for (const kind of ["pointerup", "pointercancel"]) {
        board.addEventListener(kind, (event) => {
          if (event.pointerId !== this.pointer) return;
          this.pointer = null;
          this.done(drawn(this.strokes));
        });
      }
    }

    add(event) {
      const box = this.canvas.getBoundingClientRect();
      const place = (value, start, side) => Math.max(0, Math.min(SIDE, ((value - start) * SIDE) / side));
      this.strokes.at(-1).push([place(event.clientX, box.left, box.width), place(event.clientY, box.top, box.height)]);
      this.draw();
    }

    draw() {
      const brush = canvas(this.canvas, SIDE, SIDE);
      brush.fillStyle = "#000";
      brush.fillRect(0, 0, SIDE, SIDE);
      stroke(brush, this.strokes, SIDE * PEN, "#fff");
      if (this.strokes.length) return;
      Object.assign(brush, { fillStyle: "#9aa0a6", font: `15px ${ink("--c-sans")}`, textAlign: "center" });
      brush.fillText("Draw a digit here", SIDE / 2, SIDE / 2);
    }

    clear() {
      this.strokes = [];
      this.draw();
    }
  }

  return { Board, drawn };
})());
