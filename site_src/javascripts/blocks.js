// Building blocks: point at a cell of a picture to see the channels that respond there; at a channel,
// a group or a class to see where it is. What is kept stands in the address, so that it can be sent on.
(() => {
  const source = document.getElementById("blocks-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const KINDS = ["channel", "group", "class"];
  const WAYS = { linear: "linear, first order", path: "along the path" };

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "style") Object.assign(node.style, value);
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // Three digits, as the page writes them.
  function number(value) {
    if (value === 0) return "0";
    const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return value.toFixed(Math.min(places, 3)).replace("-", "−");
  }

  function bytes(text) {
    return Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  const read = () => new URLSearchParams(location.hash.slice(1));
  const same = (one, other) => one?.kind === other?.kind && one?.index === other?.index;

  class Tool {
    constructor(root, id) {
      Object.assign(this, { root, id, ...data.pictures[id] });
      [this.rows, this.columns] = this.size;
      this.bytes = bytes(this.maps);
      this.place = new Map(this.channels.map((channel, index) => [channel, index]));
      this.kept = { cell: null, thing: null };
      this.cell = null; // the cell that is shown
      this.thing = null; // the channel, group or class that is shown
      this.way = "linear";
      this.build();
    }

    // The parts of the page.

    build() {
      this.photo = make("img", { src: this.ground, alt: "" });
      this.canvas = make("canvas", { width: this.columns, height: this.rows });
      this.grid = this.buildGrid();
      const stage = make("div", { class: "c-blocks-stage" }, this.photo, this.canvas, this.grid);
      this.legend = make("p", { class: "c-look" });
      this.list = make("div", { class: "c-blocks-cell" });
      this.detail = make("div", { class: "c-blocks-thing" });
      // The legend comes last: its length must not move the buttons that change it.
      const bars = [this.buildGrounds(), ...this.buildChoices()];
      const left = make("div", { class: "c-blocks-left" }, stage, ...bars, this.legend);
      const right = make("div", { class: "c-blocks-right" }, this.buildWays(), this.list, this.detail);
      this.root.replaceChildren(left, right);
      this.root.hidden = false;
      this.listen();
    }

    buildGrid() {
      const label =
        `Cells of the picture of ${this.label}. Arrow keys move, Enter keeps a cell, Escape lets go.`;
      const grid = make("div", { role: "grid", class: "c-blocks-grid", "aria-label": label });
      this.cells = [];
      for (let row = 0; row < this.rows; row += 1) {
        const line = make("div", { role: "row" });
        for (let column = 0; column < this.columns; column += 1) {
          const units = this.dictionary[this.cells.length];
          const says = units.length ? `units ${units.join(", ")}` : "no unit above zero";
          const cell = make("div", {
            role: "gridcell",
            tabindex: "-1",
            "aria-selected": "false",
            "aria-label": `Row ${row}, column ${column}: ${says}`,
          });
          this.cells.push(cell);
          line.append(cell);
        }
        grid.append(line);
      }
      grid.style.setProperty("--columns", this.columns);
      return grid;
    }

    buildGrounds() {
      if (!this.mosaic) return "";
      const bar = make("div", { class: "c-sort", role: "group", "aria-label": "What the cells lie on" }, "Show ");
      const grounds = { "the picture": this.ground, "the strongest channels": this.mosaic };
      for (const [name, path] of Object.entries(grounds)) {
        const button = make("button", { type: "button", "aria-pressed": path === this.ground }, name);
        button.addEventListener("click", () => {
          this.photo.src = path;
          press(bar, button);
        });
        bar.append(button, " ");
      }
      return bar;
    }

    buildWays() {
      const bar = make("div", { class: "c-sort", role: "group", "aria-label": "Attribution" }, "Class support ");
      this.ways = {};
      for (const [way, name] of Object.entries(WAYS)) {
        const button = make("button", { type: "button" }, name);
        button.addEventListener("click", () => this.keep({ way }));
        this.ways[way] = button;
        bar.append(button, " ");
      }
      return bar;
    }

    buildChoices() {
      const groups = this.groups.map((_, g) => [String(g + 1), colourOf(g)]);
      const classes = this.classes.map(({ label }) => [label]);
      return [this.choices("group", "Groups", groups), this.choices("class", "Classes", classes)];
    }

    choices(kind, name, entries) {
      if (!entries.length) return "";
      const bar = make("div", { class: "c-sort", role: "group", "aria-label": name }, `${name} `);
      entries.forEach(([text, colour], index) => {
        const button = make("button", { type: "button", "data-thing": `${kind} ${index}` });
        if (colour) button.append(swatch(colour));
        button.append(text);
        bar.append(button, " ");
      });
      return bar;
    }

    // A channel: its tile is a button that shows it, its name a link to its page.

    tile(channel, value) {
      const name = `unit ${channel}`;
      const picture = make("span", { class: "c-blocks-tile" });
      if (data.sheet) Object.assign(picture.style, this.sprite(channel));
      else picture.append(String(channel));
      const button = make("button", { type: "button", "data-thing": `channel ${channel}`, "aria-label": `Show ${name}` }, picture);
      const title = data.units ? make("a", { href: `${data.units}${channel}/index.html` }, name) : name;
      return make("li", {}, button, make("span", {}, title), make("span", { class: "c-number" }, number(value)));
    }

    sprite(channel) {
      const { path, columns, rows } = data.sheet;
      const share = (place, count) => `${count > 1 ? (100 * place) / (count - 1) : 0}%`;
      return {
        backgroundImage: `url("${path}")`,
        backgroundSize: `${100 * columns}% ${100 * rows}%`,
        backgroundPosition: `${share(channel % columns, columns)} ${share(Math.floor(channel / columns), rows)}`,
      };
    }

    tiles(channels, values) {
      return make("ul", { class: "c-blocks-tiles" }, ...channels.map((c, i) => this.tile(c, values[i])));
    }

    // Signed bars, one a class and series, on one scale.

    bars(series, most) {
      const names = Object.keys(series);
      const rows = this.classes.map(({ label }, k) =>
        make("tr", {}, make("th", { scope: "row" }, label),
          ...names.map((name) => make("td", {}, bar(series[name][k], most)))));
      const head = names.length > 1 || names[0]
        ? [make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Class"),
            ...names.map((name) => make("th", { scope: "col" }, name))))]
        : [];
      const several = names.length > 1 ? " c-blocks-bars--several" : "";
      return make("table", { class: `c-blocks-bars${several}` }, ...head, make("tbody", {}, ...rows));
    }

    // What is shown.

    showCell(cell) {
      if (this.cell === cell && this.shownWay === this.way) return;
      this.cell = cell;
      this.cells.forEach((node, index) => node.toggleAttribute("data-shown", index === cell));
      this.roving();
      const children = cell === null ? this.wholePicture() : this.oneCell(cell);
      this.list.replaceChildren(...children);
      this.mark();
    }

    roving() {
      const stop = this.cell ?? 0;
      this.cells.forEach((node, index) => {
        node.tabIndex = index === stop ? 0 : -1;
      });
    }

    oneCell(cell) {
      const support = this.of_cells[this.way];
      const most = Math.max(...support.map((row) => Math.max(...row.map(Math.abs))));
      const values = support.map((row) => row[cell]);
      const units = this.dictionary[cell];
      return [
        make("h3", {}, `Cell at row ${Math.floor(cell / this.columns)}, column ${cell % this.columns}`),
        make("p", { class: "c-look" }, units.length ? "The channels that respond most, with their response:" : "No channel is above zero here."),
        this.tiles(units, this.values[cell]),
        make("p", { class: "c-look" }, `Class support of this cell, ${WAYS[this.way]}, in logits:`),
        this.bars({ "": values }, most),
      ];
    }

    wholePicture() {
      const support = this.of_cells[this.way];
      const totals = support.map((row) => row.reduce((sum, value) => sum + value, 0));
      const layer = this.classes.map(({ logit, silent }) => logit - silent);
      const most = Math.max(...totals.map(Math.abs), ...layer.map(Math.abs));
      return [
        make("h3", {}, "The whole picture"),
        make("p", { class: "c-look" }, `Class support of all cells together, ${WAYS[this.way]}, beside what the layer does: the logit minus the logit with the layer silent.`),
        this.bars({ [`sum, ${this.way}`]: totals, "the layer does": layer }, most),
      ];
    }

    showThing(thing) {
      if (same(this.thing, thing) && this.shownWay === this.way) return;
      this.thing = thing;
      this.detail.replaceChildren(...(thing ? this[thing.kind](thing.index) : []));
      this.draw(thing);
      this.mark();
    }

    channel(channel) {
      const at = this.place.get(channel);
      const support = this.of_channels[this.way];
      const most = Math.max(...support.map((row) => Math.max(...row.map(Math.abs))));
      return [
        make("h3", { tabindex: "-1" }, `Unit ${channel}`),
        make("div", { class: "c-blocks-columns" },
          this.tiles([channel], [this.peaks[at]]),
          make("div", {}, make("p", { class: "c-look" }, `Class support of the channel over all cells, ${WAYS[this.way]}, in logits:`),
            this.bars({ "": support.map((row) => row[at]) }, most))),
      ];
    }

    group(index) {
      const group = this.groups[index];
      const series = { [this.way]: group[this.way], measured: group.measured, shuffled: group.shuffled };
      const most = Math.max(...this.groups.flatMap((one) => [...one[this.way], ...one.measured, ...one.shuffled]).map(Math.abs));
      const picture = group.picture ? [make("img", { src: group.picture, alt: "", class: "c-blocks-feature" })] : [];
      return [
        make("h3", { tabindex: "-1" }, swatch(colourOf(index)), `Group ${index + 1}`),
        make("p", { class: "c-look" }, `${(100 * group.share).toFixed(1)} % of the sum of all responses above zero. Its strongest channels, with their weight:`),
        make("div", { class: "c-blocks-columns" }, ...picture, this.tiles(group.channels, group.weights),
          make("div", {}, make("p", { class: "c-look" }, `What it does to a class, in logits: as attributed (${WAYS[this.way]}), as measured by taking it away, and by taking as much away with the cells shuffled.`),
            this.bars(series, most))),
      ];
    }

    class(index) {
      const { label, logit, silent, probability } = this.classes[index];
      const support = this.of_channels[this.way][index];
      const order = support.map((_, at) => at).sort((one, other) => support[other] - support[one]);
      const list = (places) => this.tiles(places.map((at) => this.channels[at]), places.map((at) => support[at]));
      return [
        make("h3", { tabindex: "-1" }, label),
        make("p", { class: "c-look" }, `Probability ${(100 * probability).toFixed(1)} %, logit ${number(logit)}; with the layer silent ${number(silent)}. Class support is ${WAYS[this.way]}, in logits.`),
        make("div", { class: "c-blocks-columns" },
          make("div", {}, make("p", { class: "c-look" }, "Channels that support it most:"), list(order.slice(0, 4))),
          make("div", {}, make("p", { class: "c-look" }, "Channels most against it:"), list(order.slice(-4).reverse()))),
      ];
    }

    // The map over the picture.

    map(thing) {
      if (thing.kind === "channel") {
        const at = this.place.get(thing.index), count = this.cells.length;
        return { values: this.bytes.subarray(at * count, (at + 1) * count), most: 127, peak: this.peaks[at], name: `Unit ${thing.index}` };
      }
      if (thing.kind === "group") {
        const group = this.groups[thing.index];
        return { values: bytes(group.map), most: 127, peak: group.peak, name: `Group ${thing.index + 1}`, colour: colourOf(thing.index) };
      }
      const support = this.of_cells[this.way];
      const most = Math.max(...support.map((row) => Math.max(...row.map(Math.abs))));
      return { values: support[thing.index], most, peak: most, name: `Support for ${this.classes[thing.index].label}` };
    }

    draw(thing) {
      const context = this.canvas.getContext("2d");
      context.clearRect(0, 0, this.columns, this.rows);
      this.root.toggleAttribute("data-map", Boolean(thing));
      this.legend.textContent = thing ? "" : "Nothing is laid over the picture.";
      if (!thing) return;
      const { values, most, peak, name, colour } = this.map(thing);
      const image = context.createImageData(this.columns, this.rows);
      values.forEach((value, index) => {
        const share = most ? Math.abs(value) / most : 0;
        const chosen = colour ?? (value < 0 ? data.colours.against : data.colours.for);
        image.data.set([...channelsOf(chosen), Math.round(230 * share)], 4 * index);
      });
      context.putImageData(image, 0, 0);
      this.legend.textContent = colour
        ? `${name}: full colour is ${number(peak)}.`
        : `${name}: orange is above zero, blue below; full colour is ${number(peak)}.`;
    }

    mark() {
      for (const button of this.root.querySelectorAll("[data-thing]")) {
        button.setAttribute("aria-pressed", String(same(parse(button.dataset.thing), this.kept.thing)));
      }
      this.cells.forEach((node, index) => {
        node.setAttribute("aria-selected", String(index === this.kept.cell));
      });
      for (const [way, button] of Object.entries(this.ways)) {
        button.setAttribute("aria-pressed", String(way === this.way));
      }
    }

    render(cell) {
      this.showCell(cell);
      this.showThing(this.kept.thing);
      this.shownWay = this.way;
      this.mark();
    }

    // What is kept, and the address.

    keep(change) {
      const state = read();
      state.set("picture", this.id);
      const { cell, thing, way } = { ...this.kept, way: this.way, ...change };
      for (const name of ["cell", "by", ...KINDS]) state.delete(name);
      if (cell !== null) state.set("cell", `${Math.floor(cell / this.columns)}.${cell % this.columns}`);
      if (thing) state.set(thing.kind, thing.index);
      if (way !== "linear") state.set("by", way);
      if (`#${state}` !== location.hash) history.pushState(null, "", `#${state}`);
      // A cell that was only looked at stays in sight while something else is kept.
      this.follow("cell" in change ? null : this.cell);
    }

    follow(seen = null) {
      const state = read();
      this.kept = { cell: this.cellIn(state.get("cell")), thing: this.thingIn(state) };
      this.way = state.get("by") === "path" ? "path" : "linear";
      this.render(this.kept.cell ?? seen);
    }

    cellIn(text) {
      const [, row, column] = /^(\d{1,3})\.(\d{1,3})$/.exec(text ?? "") ?? [];
      const inside = Number(row) < this.rows && Number(column) < this.columns;
      return inside ? Number(row) * this.columns + Number(column) : null;
    }

    thingIn(state) {
      for (const kind of KINDS) {
        const thing = parse(`${kind} ${state.get(kind) ?? ""}`);
        if (thing && this.knows(thing)) return thing;
      }
      return null;
    }

    knows({ kind, index }) {
      if (kind === "channel") return this.place.has(index);
      return index < (kind === "group" ? this.groups : this.classes).length;
    }

    // What a reader does.

    listen() {
      const { grid, root } = this;
      const at = (event) => this.cells.indexOf(event.target.closest("[role=gridcell]"));
      const look = (event) => at(event) >= 0 && this.showCell(at(event));
      const back = () => this.kept.cell !== null && this.showCell(this.kept.cell);
      grid.addEventListener("pointerover", look);
      grid.addEventListener("focusin", look);
      grid.addEventListener("pointerleave", back);
      grid.addEventListener("focusout", back);
      grid.addEventListener("click", (event) => at(event) >= 0 && this.toggleCell(at(event)));
      grid.addEventListener("keydown", (event) => this.key(event, at(event)));
      root.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        const removed = [this.list, this.detail].some((box) => box.contains(document.activeElement));
        if (removed) this.cells[this.cell ?? 0].focus();
        this.keep({ cell: null, thing: null });
      });
      const thing = (event) => {
        const button = event.target.closest?.("[data-thing]");
        return button ? parse(button.dataset.thing) : null;
      };
      for (const name of ["pointerover", "focusin"]) {
        root.addEventListener(name, (event) => this.glance(thing(event), event));
      }
      for (const name of ["pointerout", "focusout"]) {
        root.addEventListener(name, (event) => thing(event) && this.glance(this.kept.thing, event));
      }
      root.addEventListener("click", (event) => this.choose(thing(event), event));
    }

    // Within the panel that shows a thing only the map changes: the panel must not run away.
    glance(thing, event) {
      const known = !thing || this.knows(thing);
      if (!known || (!thing && !event.type.endsWith("out"))) return;
      if (this.detail.contains(event.target)) this.draw(thing ?? this.thing);
      else this.showThing(thing);
    }

    choose(thing, event) {
      if (!thing || !this.knows(thing)) return;
      const within = this.detail.contains(event.target);
      this.keep({ thing: same(thing, this.kept.thing) ? null : thing });
      if (within) (this.detail.querySelector("h3") ?? this.cells[this.cell ?? 0]).focus();
    }

    toggleCell(cell) {
      this.keep({ cell: cell === this.kept.cell ? null : cell });
      this.showCell(cell);
    }

    key(event, cell) {
      const { rows, columns } = this;
      const row = Math.floor(cell / columns);
      const column = cell % columns;
      const moves = {
        ArrowLeft: [row, Math.max(0, column - 1)],
        ArrowRight: [row, Math.min(columns - 1, column + 1)],
        ArrowUp: [Math.max(0, row - 1), column],
        ArrowDown: [Math.min(rows - 1, row + 1), column],
        Home: [row, 0],
        End: [row, columns - 1],
      };
      const move = moves[event.key];
      if (move) this.cells[move[0] * columns + move[1]].focus();
      else if (event.key === "Enter" || event.key === " ") this.toggleCell(cell);
      else return;
      event.preventDefault();
    }
  }

  const colourOf = (group) => data.colours.groups[group % data.colours.groups.length];
  const channelsOf = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const swatch = (colour) => make("span", { class: "c-blocks-swatch", style: { background: colour } });

  function press(group, chosen) {
    for (const button of group.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  }

  // "group 3" as { kind: "group", index: 3 }.
  function parse(text) {
    const [, kind, index] = /^(channel|group|class) (\d{1,6})$/.exec(text) ?? [];
    return kind ? { kind, index: Number(index) } : null;
  }

  function bar(value, most) {
    const share = most ? Math.abs(value) / most / 2 : 0;
    const line = make("span", { class: `c-blocks-bar${value < 0 ? " c-blocks-bar--against" : ""}` });
    line.style.setProperty("--from", value < 0 ? 0.5 - share : 0.5);
    line.style.setProperty("--share", share);
    return make("span", { class: "c-blocks-signed" }, line, make("span", { class: "c-number" }, number(value)));
  }

  const tools = new Map();

  // Each picture's tool is made when its tab is first opened.
  function follow() {
    for (const root of document.querySelectorAll("[data-blocks]")) {
      const id = root.dataset.blocks;
      // In an article one picture stands alone, without tabs.
      if (document.getElementById(`picture-${id}`)?.checked === false) continue;
      if (!tools.has(id)) tools.set(id, new Tool(root, id));
      tools.get(id).follow();
    }
  }

  const hint = document.querySelector(".c-blocks-hint");
  if (hint) hint.hidden = false;
  document.addEventListener("change", (event) => {
    if (!event.target.matches?.(".c-tabs__input[name=picture]")) return;
    const state = read(); // groups and classes are a picture's own, cells and channels are not
    for (const name of ["group", "class"]) state.delete(name);
    state.set("picture", event.target.value);
    history.replaceState(null, "", `#${state}`);
    follow();
  });
  addEventListener("hashchange", follow);
  follow();
})();
