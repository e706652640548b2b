// One head of a vision transformer on a picture: point at a patch to see where it looks. What is kept
// stands in the address: query=3.5 (row and column), or the place of a token that stands for no patch.
// An article can show several heads: each host names its data and its word in the address.
(() => {
  const api = globalThis.cutawayAttention;
  const { make, weight } = api;
  const NAMED = 3; // how many patches the text names
  const LARGEST = 448; // px
  let views = [];

  // Those that a script has taken out of the page are let go of.
  function draw() {
    views = views.filter(({ host }) => host.isConnected);
    for (const view of views) view.draw();
  }

  // What a script computed on this page: `data` holds the numbers themselves, as `rows` and as `matrix`.
  globalThis.cutawayPatches = { play: (host, data) => views.push(new Play(host, data)) };

  // The weights of one query: on the tokens without a patch, then on squares of the picture, row by row.
  class Row {
    constructor(values, special, rows, columns) {
      Object.assign(this, { special: values.slice(0, special), over: values.slice(special), rows, columns });
    }
  }

  class Play {
    constructor(host, data) {
      Object.assign(this, { host, data, name: host.dataset.image, cursor: null, matrix: null, failed: false });
      Object.assign(this, data.pictures[this.name]);
      this.tokens = data.special.length + data.grid[0] * data.grid[1];
      this.readers = typeof this.rows === "string" ? api.unpack(this.rows, this.tokens * data.readers.length) : this.rows;
      this.photo = new Image();
      this.photo.onload = () => this.draw();
      this.photo.src = host.dataset.photo;
      this.build();
    }

    // The squares that can be chosen: patches, or blocks of them where there are very many.
    get squares_() {
      return this.squares ?? this.data.grid;
    }

    build() {
      this.bar = make("div", "c-attention__group");
      this.bar.setAttribute("role", "group");
      this.bar.setAttribute("aria-label", "Which token looks");
      this.chips = this.data.special.map((token, place) => {
        const chip = make("button", "c-attention__button", token);
        chip.type = "button";
        chip.hidden = !this.source && !this.data.readers.includes(token);
        chip.addEventListener("click", () => this.pin(place));
        this.bar.append(chip);
        return chip;
      });
      this.canvas = make("canvas");
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-label", "The picture in patches; arrow keys move from patch to patch, Enter keeps one");
      this.says = make("p", "c-patches-play__says");
      this.says.setAttribute("role", "status");
      const hint = this.source
        ? "Point at a patch, or move with the arrow keys, to see where it looks. Click or Enter keeps it: then pointing reads its exact weight on each patch. Escape lets go."
        : "Point at a patch, or move with the arrow keys, to read the exact weight on it.";
      this.host.append(this.bar, this.canvas, this.says, make("p", "c-patches-play__hint", hint));
      this.host.hidden = false;
      this.listen();
      let width = 0;
      new ResizeObserver(() => {
        if (this.host.clientWidth !== width) {
          width = this.host.clientWidth;
          this.draw();
        }
      }).observe(this.host);
    }

    listen() {
      const { canvas } = this;
      for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, (event) => this.point(this.under(event)));
      canvas.addEventListener("pointerleave", () => this.point(null));
      canvas.addEventListener("blur", () => this.point(null));
      canvas.addEventListener("click", (event) => {
        const at = this.under(event);
        if (at && this.source) this.pin(at);
      });
      this.host.addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.pin(null);
      });
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (event.key === "Enter" && this.cursor && this.source) this.pin(this.cursor);
        else if (step) this.point(this.moved(step));
        else return;
        event.preventDefault();
      });
    }

    moved([down, across]) {
      const [rows, columns] = this.squares_;
      const kept = this.kept();
      if (!this.cursor) return Array.isArray(kept) ? kept : [rows >> 1, columns >> 1];
      const clip = (place, count) => Math.max(0, Math.min(place, count - 1));
      return [clip(this.cursor[0] + down, rows), clip(this.cursor[1] + across, columns)];
    }

    point(at) {
      if (String(at) === String(this.cursor)) return;
      this.cursor = at;
      this.draw();
    }

    // What the address keeps: a square, the place of another token, or null.
    kept() {
      const text = new URLSearchParams(location.hash.slice(1)).get(this.host.dataset.query) ?? "";
      const [rows, columns] = this.squares_;
      const square = /^(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
      if (square) return this.source && square[0] < rows && square[1] < columns ? square : null;
      if (!/^\d{1,3}$/.test(text)) return null;
      const token = this.data.special[Number(text)];
      return token !== undefined && (this.source || this.data.readers.includes(token)) ? Number(text) : null;
    }

    pin(what) {
      const same = what !== null && String(what) === String(this.kept());
      const text = what === null || same ? null : Array.isArray(what) ? what.join(".") : String(what);
      api.writeState({ [this.host.dataset.query]: text }, true);
      draw();
    }

    // The token that looks: what is kept, else what is pointed at, else the one that the answer is read from.
    query() {
      const kept = this.kept();
      if (kept !== null) return kept;
      if (this.cursor && this.source) return this.cursor;
      const place = this.data.special.indexOf(this.data.readers[0]);
      return place < 0 ? "all" : place; // without a class token: the mean of all patches
    }

    row(query) {
      const { data } = this;
      const special = data.special.length;
      const reader = data.readers.indexOf(query === "all" ? data.readers[0] : data.special[query]);
      if (reader >= 0) {
        return new Row(this.readers.subarray(reader * this.tokens, (reader + 1) * this.tokens), special, ...data.grid);
      }
      if (!this.matrix) {
        this.load();
        return null;
      }
      const [rows, columns] = this.squares;
      const count = special + rows * columns;
      const place = Array.isArray(query) ? special + query[0] * columns + query[1] : query;
      return new Row(this.matrix.subarray(place * count, (place + 1) * count), special, rows, columns);
    }

    async load() {
      if (this.loading) return;
      this.loading = true;
      try {
        const packed = await api.load(this.source);
        const count = this.data.special.length + this.squares[0] * this.squares[1];
        this.matrix = api.unpack(packed, count * count);
      } catch {
        this.failed = true;
      }
      this.draw();
    }

    // Drawing.

    get side() {
      return Math.min(LARGEST, this.host.clientWidth);
    }

    // A square in px; the last ones of a row can be cut by the edge of the grid.
    box(row, column, block) {
      const { patch, grid, size } = this.data;
      const scale = this.side / size;
      const edge = (place, axis) => Math.min(place * block, grid[axis]) * patch[axis] * scale;
      const [top, left] = [edge(row, 0), edge(column, 1)];
      return [left, top, edge(column + 1, 1) - left, edge(row + 1, 0) - top];
    }

    under(event) {
      const { patch, size } = this.data;
      const block = this.block ?? 1;
      const place = (offset, axis) => Math.floor((offset / this.side) * size / (patch[axis] * block));
      const at = [place(event.offsetY, 0), place(event.offsetX, 1)];
      return at.every((one, axis) => one >= 0 && one < this.squares_[axis]) ? at : null;
    }

    draw() {
      if (!this.host.clientWidth) return;
      const query = this.query();
      const row = this.row(query);
      const pen = api.canvas(this.canvas, this.side, this.side);
      pen.filter = "grayscale(1)";
      if (this.photo.complete && this.photo.naturalWidth) pen.drawImage(this.photo, 0, 0, this.side, this.side);
      pen.filter = "none";
      if (row) this.paint(pen, row);
      if (Array.isArray(query)) this.frame(pen, query, 3);
      if (this.cursor && String(this.cursor) !== String(query)) this.frame(pen, this.cursor, 1.5);
      const kept = this.kept();
      this.chips.forEach((chip, place) => chip.setAttribute("aria-pressed", String(place === (kept ?? query))));
      const text = row ? this.words(query, row) : this.failed ? "The weights of this picture could not be loaded." : "Loading …";
      if (this.says.textContent !== text) this.says.textContent = text;
    }

    paint(pen, row) {
      const { colours, standsOut } = this.data;
      const full = Math.max(Math.max(...row.over), (standsOut * api.UNIT) / (row.over.length + row.special.length));
      const block = row.rows === this.data.grid[0] ? 1 : this.block;
      row.over.forEach((value, place) => {
        const level = 4 * Math.round((value / full) * (colours.length / 4 - 1));
        const [red, green, blue, alpha] = colours.subarray(level, level + 4);
        pen.fillStyle = `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
        pen.fillRect(...this.box(Math.floor(place / row.columns), place % row.columns, block));
      });
    }

    frame(pen, [row, column], width) {
      const [left, top, wide, high] = this.box(row, column, this.block ?? 1);
      for (const [colour, extra] of [["#000", 2], ["#fff", 0]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width + extra;
        pen.strokeRect(left, top, wide, high);
      }
    }

    // Words.

    place(row, column) {
      return `row ${row}, column ${column}`;
    }

    words(query, row) {
      const { data } = this;
      const who = Array.isArray(query)
        ? `The ${this.block > 1 ? `${this.block} × ${this.block} patches` : "patch"} in ${this.place(...query)}`
        : `The ${query === "all" ? data.readers[0] : data.special[query]}`;
      const others = data.special.map((token, i) => `${token} (${weight(row.special[i])})`);
      if (this.cursor && String(this.cursor) !== String(query) && row.rows === this.squares_[0]) {
        const [down, across] = this.cursor;
        return `${who} looks at ${this.place(down, across)} with ${weight(row.over[down * row.columns + across])}.`;
      }
      const best = api.strongest(row.over, NAMED).map((i) => (
        `${this.place(Math.floor(i / row.columns), i % row.columns)} (${weight(row.over[i])})`
      ));
      const beside = others.length ? ` Beside the patches: ${others.join(", ")}.` : "";
      return `${who} looks most at ${best.join("; ")}.${beside}`;
    }
  }

  addEventListener("DOMContentLoaded", () => {
    const known = new Map();
    const dataOf = (id) => {
      if (!known.has(id)) {
        const data = JSON.parse(document.getElementById(id).textContent);
        data.colours = api.bytes(data.colours);
        known.set(id, data);
      }
      return known.get(id);
    };
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        watch.unobserve(target);
        views.push(new Play(target, dataOf(target.dataset.patches)));
      }
    }, { rootMargin: "600px" });
    for (const host of document.querySelectorAll(".c-patches-play")) {
      host.hidden = false; // an element that takes no room is never near the screen
      watch.observe(host);
    }
    addEventListener("hashchange", draw);
  });
})();
