// The map of one head: rows look, columns are looked at. A text too long for labels is drawn as an
// overview, each dot the largest weight of its block, with the exact cells around one place beside it.
(() => {
  const api = globalThis.cutawayAttention;
  const { make, quoted, weight } = api;
  const LABELLED = 13; // px a cell needs to carry a label
  const LARGEST = 26;
  const TALLEST = 1400; // px of a labelled map; a taller one is drawn as an overview
  const AROUND = 17; // tokens on a side of the detail
  const LABEL = 96; // px for the labels beside a map

  // Paint rows x columns of cells `at(row, column)` (a weight, null: unseen) as squares of `cell` px.
  function paint(pen, left, top, [rows, columns], cell, at) {
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const value = at(row, column);
        pen.fillStyle = api.css(value === null ? api.unseen() : api.colours()[api.LEVEL[value]]);
        pen.fillRect(left + column * cell, top + row * cell, cell, cell);
      }
    }
  }

  function labels(pen, left, top, cell, rows, columns) {
    pen.fillStyle = api.ink("--c-ink");
    pen.font = `${Math.min(12, cell - 2)}px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    const cut = (text) => (Array.from(text).length > 11 ? `${Array.from(text).slice(0, 10).join("")}…` : text);
    pen.textAlign = "right";
    rows.forEach((text, i) => pen.fillText(cut(text), left - 6, top + (i + 0.5) * cell, LABEL - 10));
    columns.forEach((text, i) => {
      pen.save();
      pen.translate(left + (i + 0.5) * cell, top - 6);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "left";
      pen.fillText(cut(text), 0, 0, LABEL - 10);
      pen.restore();
    });
  }

  function frame(pen, x, y, width, height) {
    pen.strokeStyle = api.ink("--c-mark");
    pen.lineWidth = 2;
    pen.strokeRect(x, y, width, height);
  }

  function build(component, host) {
    const { length, width } = component.data;
    const room = host.clientWidth;
    const cell = Math.min(LARGEST, Math.floor((room - LABEL) / width), Math.floor(TALLEST / length));
    const view = cell >= LABELLED ? new Labelled(component, cell) : new Overview(component, room);
    view.picture = make("canvas", "c-map__canvas");
    view.picture.tabIndex = 0;
    view.picture.dataset.place = "map";
    view.picture.setAttribute("role", "application");
    view.picture.setAttribute("aria-label", `Attention map of ${length} ${width === length ? "" : `by ${width} `}tokens; arrow keys move from cell to cell`);
    const row = make("div", "c-map");
    row.append(view.picture);
    host.append(row);
    view.attach(row);
    view.listen();
    return view;
  }

  class MapView {
    constructor(component) {
      this.component = component;
      [this.head] = component.state.heads;
      this.cell_ = null;
    }

    inside([query, key]) {
      const { length, width } = this.component.data;
      return query >= 0 && query < length && key >= 0 && key < width;
    }

    value(query, key) {
      const { data, state } = this.component;
      if (data.causal && key > query) return null;
      return !state.sink && key === 0 ? null : data.row(state.layer, this.head, query)[key];
    }

    listen() {
      const { picture, component } = this;
      picture.addEventListener("pointermove", (event) => this.point(this.under(event)));
      picture.addEventListener("pointerdown", (event) => this.point(this.under(event)));
      picture.addEventListener("pointerleave", () => this.point(null));
      picture.addEventListener("click", (event) => {
        const at = this.under(event);
        if (at) component.pin({ side: "query", token: at[0] });
      });
      picture.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        const [query, key] = this.cell_ ?? [component.state.pinned?.token ?? 0, 0];
        const clip = (place, count) => Math.max(0, Math.min(place, count - 1));
        const { length, width } = component.data;
        if (event.key === "Enter") component.pin({ side: "query", token: query });
        else if (step) this.point(this.cell_ ? [clip(query + step[0], length), clip(key + step[1], width)] : [query, key]);
        else return;
        event.preventDefault();
      });
      picture.addEventListener("blur", () => this.point(null));
    }

    point(cell) {
      this.cell_ = cell;
      this.component.hover(cell ? { side: "query", token: cell[0] } : null);
    }

    words(selection) {
      if (!this.cell_) return selection ? undefined : "Point at a cell, or move with the arrow keys, to read its exact weight. Enter keeps its row in the address.";
      const [query, key] = this.cell_;
      const { tokens, keys } = this.component.data;
      const value = this.value(query, key);
      const pair = `${quoted(tokens[query])} (${query}) → ${quoted(keys[key])} (${key})`;
      if (value !== null) return `${pair}: ${weight(value)}.`;
      return `${pair}: ${key > query ? "lies in the future, which this model cannot see" : "left out"}.`;
    }
  }

  class Labelled extends MapView {
    constructor(component, cell) {
      super(component);
      this.cell = cell;
      this.high = cell * component.data.length;
      this.wide = cell * component.data.width;
    }

    attach() {}

    under(event) {
      const place = (offset) => Math.floor((offset - LABEL) / this.cell);
      const at = [place(event.offsetY), place(event.offsetX)];
      return this.inside(at) ? at : null;
    }

    show(selection) {
      const { cell, high, wide } = this;
      const { length, width, tokens, keys } = this.component.data;
      const pen = api.canvas(this.picture, LABEL + wide + 2, LABEL + high + 2);
      paint(pen, LABEL, LABEL, [length, width], cell, (row, column) => this.value(row, column));
      labels(pen, LABEL, LABEL, cell, tokens, keys);
      if (selection) {
        const at = LABEL + selection.token * cell;
        if (selection.side === "query") frame(pen, LABEL, at, wide, cell);
        else frame(pen, at, LABEL, cell, high);
      }
      if (this.cell_) frame(pen, LABEL + this.cell_[1] * cell, LABEL + this.cell_[0] * cell, cell, cell);
    }
  }

  class Overview extends MapView {
    constructor(component, room) {
      super(component);
      const { length, width } = component.data;
      const most = Math.max(length, width);
      this.block = Math.max(1, Math.ceil(most / Math.min(room, 560)));
      [this.rows, this.columns] = [length, width].map((count) => Math.ceil(count / this.block));
      this.dot = Math.max(1, Math.floor(Math.min(room, 560) / Math.ceil(most / this.block)));
    }

    attach(row) {
      this.detail = make("canvas", "c-map__detail");
      this.detail.setAttribute("aria-hidden", "true");
      row.append(this.detail);
      if (this.block > 1) {
        row.append(make("p", "c-map__note", `Each dot shows the largest weight of ${this.block} × ${this.block} cells.`));
      }
      this.ground = this.overview();
    }

    // The largest weight of each block, drawn once into a picture of its own.
    overview() {
      const { data, state } = this.component;
      const most = new Int32Array(this.rows * this.columns).fill(-1);
      for (let query = 0; query < data.length; query += 1) {
        const row = data.row(state.layer, this.head, query);
        const line = Math.floor(query / this.block) * this.columns;
        for (let key = state.sink ? 0 : 1; key < row.length; key += 1) {
          const at = line + Math.floor(key / this.block);
          if (row[key] > most[at]) most[at] = row[key];
        }
      }
      const picture = make("canvas");
      [picture.width, picture.height] = [this.columns, this.rows];
      const pen = picture.getContext("2d");
      const image = pen.createImageData(this.columns, this.rows);
      const ramp = api.colours();
      most.forEach((value, i) => image.data.set([...(value < 0 ? api.unseen() : ramp[api.LEVEL[value]]), 255], i * 4));
      pen.putImageData(image, 0, 0);
      return picture;
    }

    under(event) {
      const place = (offset) => Math.floor((offset / this.dot) * this.block);
      const at = [place(event.offsetY), place(event.offsetX)];
      return this.inside(at) ? at : null;
    }

    show(selection) {
      const size = [this.columns * this.dot, this.rows * this.dot];
      const pen = api.canvas(this.picture, ...size);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(this.ground, 0, 0, ...size);
      const { length, width, tokens, keys } = this.component.data;
      const reach = [length, width].map((count) => Math.min(AROUND, count));
      const query = Math.min(selection?.token ?? 0, length - 1);
      // Beside a pinned row without a cell: the place that it looks at most.
      const [row, column] = this.cell_ ?? [query, this.favourite(query)];
      const start = (place, side, count) => Math.max(0, Math.min(place - (side >> 1), count - side));
      const [top, left] = [start(row, reach[0], length), start(column, reach[1], width)];
      const px = this.dot / this.block;
      frame(pen, left * px, top * px, reach[1] * px, reach[0] * px);
      const room = Math.min(this.picture.parentElement.clientWidth, 460);
      const cell = Math.max(8, Math.min(20, Math.floor((room - LABEL - 2) / reach[1])));
      const near = api.canvas(this.detail, LABEL + reach[1] * cell + 2, LABEL + reach[0] * cell + 2);
      paint(near, LABEL, LABEL, reach, cell, (y, x) => this.value(top + y, left + x));
      this.edge(near, reach, cell, tokens.slice(top, top + reach[0]), keys.slice(left, left + reach[1]));
      if (this.cell_) frame(near, LABEL + (column - left) * cell, LABEL + (row - top) * cell, cell, cell);
    }

    edge(pen, reach, cell, rows, columns) {
      pen.save();
      pen.beginPath();
      pen.rect(0, LABEL, LABEL, reach[0] * cell);
      pen.clip();
      labels(pen, LABEL, LABEL, cell, rows, []);
      pen.restore();
      pen.save();
      pen.beginPath();
      pen.rect(LABEL, 0, reach[1] * cell, LABEL);
      pen.clip();
      labels(pen, LABEL, LABEL, cell, [], columns);
      pen.restore();
    }

    favourite(query) {
      const { data, state } = this.component;
      const row = data.row(state.layer, this.head, query);
      return api.strongest(row, 1, state.sink ? -1 : 0)[0] ?? 0;
    }
  }

  api.views.map = { label: "Map", build };
})();
