// The units of a network on a picture: which of all answer most, and the map of every unit of a layer.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const { make, writeState } = globalThis.cutawayAttention;
  const { over, tile, breathing, number, percent, placeOf, asked } = globalThis.cutawayPicture;
  const LISTED = 12, OF_A_LAYER = 2;
  const LEAST = 0.05; // a unit's own strongest response counts for no less than this share of its layer's

  // Of each unit of a layer its highest response, where that is, and its largest magnitude; and what each is
  // measured by: the strongest response that it gave to the curated pictures.
  function read(layer, told) {
    const { data, units, rows, columns } = layer;
    const size = rows * columns;
    const found = { ...layer, told, high: new Float32Array(units), at: new Int32Array(units), wide: new Float32Array(units) };
    for (let unit = 0; unit < units; unit += 1) {
      let high = -Infinity, at = 0, wide = 0;
      for (let i = 0; i < size; i += 1) {
        const value = data[unit * size + i];
        if (value > high) [high, at] = [value, i];
        wide = Math.max(wide, Math.abs(value));
      }
      [found.high[unit], found.at[unit], found.wide[unit]] = [high, at, wide];
    }
    const floor = LEAST * Math.max(...told.peaks);
    found.share = found.high.map((high, unit) => (floor > 0 ? high / Math.max(told.peaks[unit], floor) : 0));
    return found;
  }

  // Of layers whose units have pages those alone, so that each can be looked up.
  function paged(layers) {
    const found = layers.filter(({ told }) => told.pages === true || told.pages?.length);
    return found.length ? found : layers;
  }

  const mapOf = ({ data, rows, columns }, unit) => ({ values: data.subarray(unit * rows * columns, (unit + 1) * rows * columns), rows, columns });

  // The largest magnitude that a unit reached on the curated pictures, or reaches on this one.
  const scaleOf = ({ told, wide }, unit) => Math.max(told.peaks[unit], -(told.least?.[unit] ?? 0), wide[unit]);

  // The units that answer most for what they gave to the curated pictures, at most some of a layer. Behind an
  // activation that saturates many are equal: of those the ones come first that are active most seldom.
  function strongest(layers) {
    const all = layers.flatMap((layer) => Array.from(layer.share, (share, unit) => ({ layer, unit, share })));
    const taken = new Map();
    const seldom = ({ layer, unit }) => layer.told.active?.[unit] ?? 0;
    const hundredths = ({ share }) => Math.round(100 * share);
    const best = all.filter(({ share }) => share > 0).sort((a, b) => hundredths(b) - hundredths(a) || seldom(a) - seldom(b) || a.unit - b.unit);
    return best.filter(({ layer }) => {
      taken.set(layer.name, (taken.get(layer.name) ?? 0) + 1);
      return taken.get(layer.name) <= OF_A_LAYER;
    }).slice(0, LISTED);
  }

  class Units {
    constructor(host, session) {
      Object.assign(this, { told: session.descriptor.picture, tiles: [], order: "strongest", layer: null });
      this.most = make("div", "c-classes c-live-most");
      this.about = make("p", "c-look");
      host.append(
        make("h3", "", "The units that answer most"),
        this.about, this.most, make("h3", "", "Every unit of a layer"), this.controls(),
      );
      this.note = make("p", "c-look");
      this.sheet = make("div", "c-live-sheet");
      this.sheet.setAttribute("role", "group");
      this.sheet.setAttribute("aria-label", "Units of the layer; arrow keys move from one to the next");
      this.detail = make("div", "c-live-unit");
      const side = make("div", "c-live-side");
      side.append(this.sheet, this.detail);
      host.append(this.note, side);
      this.sheet.addEventListener("keydown", (event) => this.move(event));
      this.sheet.addEventListener("click", (event) => {
        const chosen = event.target.closest("button");
        if (chosen) this.choose(this.layer.name, Number(chosen.dataset.unit));
      });
    }

    controls() {
      const bar = make("p", "c-live-bar");
      this.select = make("select", "c-live-select");
      this.select.addEventListener("change", () => this.choose(this.select.value, null));
      const label = make("label", "", "Layer: ");
      label.append(this.select);
      const orders = make("span", "c-sort", "Order: ");
      this.orders = ["strongest", "number"].map((order) => {
        const made = make("button", "", order === "number" ? "by number" : "strongest first");
        made.type = "button";
        made.addEventListener("click", () => {
          this.order = order;
          this.arrange();
        });
        orders.append(made, " ");
        return [order, made];
      });
      bar.append(label, orders);
      return bar;
    }

    choose(layer, unit) {
      writeState({ layer, unit: unit === null ? null : String(unit) }, true);
      this.follow();
    }

    async show(result) {
      const breath = breathing();
      const spatial = [...result.layers.values()].filter(({ name, rows, columns }) => rows * columns > 1 && this.told.units[name]);
      const all = [];
      for (const layer of spatial) {
        all.push(read(layer, this.told.units[layer.name]));
        await breath();
      }
      Object.assign(this, { result, layers: new Map(all.map((layer) => [layer.name, layer])), layer: null }); // drawn anew
      if (!this.select.length) this.select.append(...all.map(({ name, title }) => new Option(title ?? name, name)));
      const from = paged(all);
      const best = strongest(from);
      this.about.textContent = `Of ${from.length < all.length ? "the layers whose units have pages" : "all layers"}, at most ${OF_A_LAYER} units each: those whose highest response is the largest share of the strongest that the same unit gave to the curated pictures, and of equal ones those that were active most seldom there. (A strongest below a twentieth of its layer's counts as that twentieth.) Bright is where it answers.`;
      const cards = [];
      for (const one of best) {
        cards.push(this.card(one));
        await breath();
      }
      this.most.replaceChildren(...cards);
      this.first = best[0]?.layer.name ?? all.at(-1).name;
      this.follow();
    }

    name(layer, unit) {
      const own = layer.told.names?.[unit];
      return `${layer.title ?? layer.name} · ${unit}${own ? ` (${own})` : ""}`;
    }

    // The way to a unit's page; "" where it has none.
    page({ name, told }, unit) {
      const there = Array.isArray(told.pages) ? told.pages.includes(unit) : told.pages;
      const way = this.told.unit_page;
      return there && way ? way.replace("{layer}", name).replace("{unit}", unit) : "";
    }

    titled(layer, unit) {
      const way = this.page(layer, unit);
      const made = make(way ? "a" : "strong", "", this.name(layer, unit));
      if (way) made.href = way;
      return made;
    }

    photo(layer, unit) {
      const canvas = make("canvas", "c-live-photo");
      const map = mapOf(layer, unit);
      over(canvas, this.result.grey, map, Math.max(layer.told.peaks[unit], layer.high[unit]));
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Where unit ${unit} of ${layer.title ?? layer.name} answers in your picture: most ${placeOf(map, layer.at[unit])}.`);
      return canvas;
    }

    card({ layer, unit }) {
      const words = make("figcaption");
      words.append(this.titled(layer, unit), make("br"), `${number(layer.high[unit])} here, ${number(layer.told.peaks[unit])} at most on the curated pictures`);
      const figure = make("figure");
      Object.assign(figure.dataset, { layer: layer.name, unit });
      figure.append(this.photo(layer, unit), words);
      return figure;
    }

    // The sheet.

    // What the address asks for, else the layer whose unit answers most.
    follow() {
      if (!this.result || !this.layers.size) return;
      const layer = this.layers.get(asked("layer")) ?? this.layers.get(this.first);
      const text = asked("unit") ?? "";
      const unit = /^\d{1,6}$/.test(text) && Number(text) < layer.units ? Number(text) : null;
      const same = layer === this.layer;
      Object.assign(this, { layer, unit });
      this.select.value = layer.name;
      if (!same) this.draw();
      this.mark();
    }

    async draw() {
      const { layer } = this;
      const { told, units, rows, columns } = layer;
      const signed = Boolean(told.least);
      this.note.textContent = `Each tile is one of ${units} units on your picture, ${rows} × ${columns} positions, scaled by the largest magnitude that the unit reached on the curated pictures, or reaches here. ${signed ? "Red is above zero, blue below, black zero." : "Black is zero."} Choose one.`;
      while (this.tiles.length < units) this.tiles.push(this.tile(this.tiles.length));
      this.sheet.style.setProperty("--ratio", columns / rows);
      this.arrange();
      delete this.sheet.dataset.drawn;
      const breath = breathing();
      for (const unit of this.placed) {
        await breath();
        if (layer !== this.layer) return; // another one has been chosen
        tile(this.tiles[unit].firstChild, mapOf(layer, unit).values, columns, scaleOf(layer, unit), signed);
        const own = layer.told.names?.[unit];
        this.tiles[unit].setAttribute("aria-label", `Unit ${unit}${own ? `, ${own}` : ""}: at most ${number(layer.high[unit])}`);
      }
      this.sheet.dataset.drawn = layer.name;
    }

    tile(unit) {
      const made = make("button");
      made.type = "button";
      made.dataset.unit = unit;
      made.tabIndex = -1;
      made.append(make("canvas"), make("span", "", unit));
      return made;
    }

    arrange() {
      if (!this.layer) return;
      const { share, units } = this.layer;
      for (const [order, made] of this.orders) made.setAttribute("aria-pressed", String(order === this.order));
      this.placed = Array.from({ length: units }, (_, unit) => unit);
      if (this.order === "strongest") this.placed.sort((a, b) => share[b] - share[a] || a - b);
      this.sheet.replaceChildren(...this.placed.map((unit) => this.tiles[unit]));
      this.mark();
    }

    mark() {
      for (const made of this.sheet.children) {
        made.setAttribute("aria-pressed", String(Number(made.dataset.unit) === this.unit));
        made.tabIndex = -1;
      }
      const focus = this.unit === null ? this.sheet.firstChild : this.tiles[this.unit];
      if (focus) focus.tabIndex = 0;
      this.explain();
    }

    move(event) {
      const here = event.target.closest("button");
      if (!here) return;
      const all = [...this.sheet.children];
      const across = Math.max(1, all.filter((one) => one.offsetTop === all[0].offsetTop).length);
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = all[all.indexOf(here) + step];
      if (!next) return;
      here.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }

    // The chosen unit, large.
    explain() {
      const { layer, unit } = this;
      this.detail.replaceChildren();
      if (unit === null) {
        this.detail.append(make("p", "c-look", "Choose a unit, and see here where it answers."));
        return;
      }
      const map = mapOf(layer, unit);
      const [row, column] = [Math.floor(layer.at[unit] / layer.columns), layer.at[unit] % layer.columns];
      const title = make("p", "c-live-unit__title");
      title.append(this.titled(layer, unit));
      const bare = make("canvas", "c-live-photo pixelated");
      tile(bare, map.values, map.columns, scaleOf(layer, unit), Boolean(layer.told.least));
      bare.setAttribute("role", "img");
      bare.setAttribute("aria-label", `The activation map of unit ${unit}, ${map.rows} × ${map.columns} positions.`);
      const peak = layer.told.peaks[unit];
      const beside = peak > 0
        ? `The strongest that it gave to the curated pictures is ${number(peak)}: this is ${percent(layer.high[unit] / peak, 0)} of it.`
        : "It was never above zero on the curated pictures.";
      const says = `Highest here: ${number(layer.high[unit])}, ${placeOf(map, layer.at[unit])} (row ${row}, column ${column} of ${map.rows} × ${map.columns}). ${beside}`;
      const photos = make("div", "c-live-unit__photos");
      photos.append(this.photo(layer, unit), bare);
      this.detail.append(title, photos, make("p", "c-look", says));
    }
  }

  return { Units };
})());
