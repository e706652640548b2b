// One attention component: its tool bar, its views, what is chosen in it and what that says in words.
(() => {
  const api = globalThis.cutawayAttention;
  const { make, weight, quoted } = api;
  const NAMED = 3; // how many keys the summary names

  api.Component = class {
    // `given` are data that the page has at hand, in place of those in the element or in a file.
    constructor(root, given = null) {
      this.root = root;
      this.given = given;
      this.kind = root.dataset.kind;
      this.selection = null;
      this.turn = 0;
      this.drawn = "";
      this.unpacked = new Map();
      this.panel = make("div", "c-attention__panel");
      this.bar = make("div", "c-attention__bar");
      this.host = make("div", "c-attention__view");
      this.summary = make("p", "c-attention__summary");
      this.summary.setAttribute("role", "status");
      this.panel.append(this.bar, this.host, this.summary);
      if (this.kind === "model") this.gridHost = root.appendChild(make("div", "c-attention__grid"));
      root.append(this.panel);
      this.panel.addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.escape();
      });
      this.host.addEventListener("pointerleave", () => this.hover(null));
    }

    async open() {
      try {
        const inline = this.root.querySelector("script[type='application/json']");
        const data = this.given ?? (inline ? JSON.parse(inline.textContent) : await api.load(this.root.dataset.source));
        this.weights = new api.Weights(data);
      } catch {
        this.say("The weights of this text could not be loaded.");
        return;
      }
      this.buildBar();
      if (this.kind === "model") this.grid = api.grid(this, this.gridHost);
      let width = this.root.clientWidth;
      new ResizeObserver(() => {
        if (this.root.clientWidth !== width && this.root.clientWidth) {
          width = this.root.clientWidth;
          this.render(true);
        }
      }).observe(this.root);
      this.render(true);
      this.root.dataset.ready = "";
    }

    // What the address asks for, within what this component has.
    asked() {
      const { dataset } = this.root;
      const state = api.readState();
      const { length, width } = this.weights;
      let layer = Number(dataset.layer);
      let heads = [Number(dataset.head)];
      if (this.kind === "layer") {
        heads = state.heads ? this.all().filter((head) => state.heads.includes(head)) : this.usual();
      } else if (this.kind === "model") {
        const inside = state.layer < this.weights.layers && state.head < this.weights.heads;
        layer = inside ? state.layer : null;
        heads = inside && layer !== null && state.head !== null ? [state.head] : [];
      }
      const pinned = state.token !== null && state.token < (state.side === "key" ? width : length)
        ? { side: state.side, token: state.token } : null;
      const known = ["lines", "map", ...(dataset.neurons ? ["neurons"] : [])];
      const usual = known.includes(dataset.opens) ? dataset.opens : null;
      let view = known.includes(state.view) ? state.view : usual ?? (Math.max(length, width) > api.views.lines.most ? "map" : "lines");
      if (heads.length !== 1) view = "lines";
      const sink = (state.sink ?? dataset.sink) !== "0";
      return { ...state, layer, heads, pinned, view, sink };
    }

    // All heads of a layer, and those shown at first: of a long text the weights of each are heavy.
    all() {
      return Array.from({ length: this.weights.of }, (_, head) => head);
    }

    usual() {
      return this.root.dataset.alone ? [0] : this.all();
    }

    async render(anew = false) {
      if (!this.weights || !this.root.clientWidth) return;
      const turn = ++this.turn;
      const state = this.asked();
      this.grid?.update(state, anew);
      this.panel.hidden = this.kind === "model" && !state.heads.length;
      if (this.panel.hidden) {
        this.drawn = "";
        return;
      }
      try {
        this.data = await this.dataOf(state.layer, state.heads);
        this.neurons = state.view === "neurons" ? await this.vectorsOf(state.layer) : null;
      } catch {
        if (turn === this.turn) this.say("The data of this view could not be loaded.");
        return;
      }
      if (turn !== this.turn) return; // something else was asked for in the meantime
      this.state = state;
      this.updateBar();
      const { view, layer, heads, sink, from, element } = state;
      // A window of a long text follows the chosen token unless the address names its place.
      const long = Math.max(this.data.length, this.data.width) > api.views.lines.most;
      const centre = long ? state.pinned?.token : null;
      const drawn = JSON.stringify([view, layer, heads, sink, from, centre]);
      if (anew || drawn !== this.drawn) {
        this.drawn = drawn;
        const held = document.activeElement?.dataset?.place;
        const inside = this.host.contains(document.activeElement);
        this.host.replaceChildren();
        this.view = api.views[view].build(this, this.host);
        if (inside && held) this.host.querySelector(`[data-place="${held}"]`)?.focus();
      }
      this.view.element?.(element);
      this.show(state.pinned);
    }

    vectorsOf(layer) {
      return this.given?.neurons?.(layer) ?? api.load(this.root.dataset.neurons.replace("{layer}", layer));
    }

    async dataOf(layer, heads) {
      const { alone } = this.root.dataset;
      if (!alone) return this.weights;
      const parts = await Promise.all(heads.map((head) => this.headOf(alone, layer, head)));
      return new api.Together(parts, this.weights);
    }

    async headOf(alone, layer, head) {
      const url = alone.replace("{layer}", layer).replace("{head}", head);
      if (!this.unpacked.has(url)) this.unpacked.set(url, new api.Weights(await api.load(url)));
      return this.unpacked.get(url);
    }

    // The tool bar is made once and then follows the state, so that the focus stays where it is.

    buildBar() {
      const views = make("div", "c-attention__group");
      views.setAttribute("role", "group");
      views.setAttribute("aria-label", "View");
      for (const [name, view] of Object.entries(api.views)) {
        if (name === "neurons" && !this.root.dataset.neurons) continue;
        views.append(this.button(view.label, { view: name }, () => api.writeState({ view: name }, true)));
      }
      this.bar.append(views);
      if (this.kind === "layer") this.bar.append(this.chips());
      if (this.kind === "model") {
        this.title = make("a");
        this.title.tabIndex = 0; // where it leads nowhere, as in a file alone, it still takes the focus
        this.bar.insertBefore(make("strong", "c-attention__title"), views).append(this.title);
      }
      const sink = this.button("Leave the first token out", { sink: "" }, () => {
        const wanted = this.state.sink ? "0" : "1";
        api.writeState({ sink: wanted === (this.root.dataset.sink ?? "1") ? null : wanted }, true);
      });
      sink.title = "Many heads rest on the first token; hide that weight to see the others";
      this.bar.append(sink);
    }

    button(label, marks, act) {
      const made = make("button", "c-attention__button", label);
      made.type = "button";
      Object.assign(made.dataset, marks);
      made.addEventListener("click", act);
      return made;
    }

    chips() {
      const row = make("div", "c-attention__group");
      row.setAttribute("role", "group");
      row.setAttribute("aria-label", "Heads");
      const heads = this.weights.of;
      const put = (chosen) => {
        const usual = chosen.join(".") === this.usual().join(".");
        api.writeState({ heads: usual ? null : chosen.join(".") }, true);
      };
      for (let head = 0; head < heads; head += 1) {
        const chip = this.button(this.weights.name(this.root.dataset.layer, head), { chip: head }, () => {
          const now = this.state.heads;
          put(now.includes(head) ? now.filter((one) => one !== head) : [...now, head].sort((a, b) => a - b));
        });
        chip.prepend(make("span", "c-attention__swatch"));
        chip.addEventListener("dblclick", () => put([head]));
        chip.title = "Show or hide this head; twice: this head alone";
        row.append(chip);
      }
      row.append(
        this.button("all", { all: "" }, () => put(this.all())),
        this.button("none", { all: "" }, () => put([])),
      );
      row.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const all = [...row.querySelectorAll("button")];
        all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
        event.preventDefault();
      });
      return row;
    }

    updateBar() {
      const { state } = this;
      for (const button of this.bar.querySelectorAll("button")) {
        const { view, chip, sink } = button.dataset;
        if (view) {
          button.setAttribute("aria-pressed", String(view === state.view));
          button.disabled = view !== "lines" && state.heads.length !== 1;
        } else if (chip !== undefined) {
          const on = state.heads.includes(Number(chip));
          button.setAttribute("aria-pressed", String(on));
          const colour = api.headColour(Number(chip), this.weights.of);
          button.firstChild.style.background = on ? colour : "none";
          button.firstChild.style.borderColor = colour;
        } else if (sink !== undefined) {
          button.setAttribute("aria-pressed", String(!state.sink));
          button.hidden = state.view === "neurons";
        }
      }
      if (!this.title) return;
      const [head] = state.heads;
      this.title.textContent = this.weights.name(state.layer, head);
      if (!this.root.dataset.heads) return;
      this.title.href = this.root.dataset.heads.replace("{layer}", state.layer).replace("{head}", head);
      if (this.root.dataset.text) this.title.hash = `text=${this.root.dataset.text}`;
    }

    // What is chosen: for the moment (hover, focus) or pinned, which the address keeps.

    hover(selection) {
      if (this.state) this.show(selection ?? this.state.pinned);
    }

    pin(selection) {
      const { pinned } = this.state;
      const same = pinned && selection && pinned.side === selection.side && pinned.token === selection.token;
      const token = !selection || same ? null : `${selection.side === "key" ? "k" : ""}${selection.token}`;
      api.writeState({ token, element: null }, true);
    }

    escape() {
      if (this.state?.pinned) this.pin(null);
      else if (this.kind === "model") this.grid.leave();
      this.hover(null);
    }

    show(selection) {
      this.selection = selection;
      this.view.show(selection);
      this.say(this.view.words?.(selection) ?? this.words(selection));
    }

    say(text) {
      if (this.summary.textContent !== text) this.summary.textContent = text;
    }

    name(side, place) {
      return `${quoted(this.data.tokensOf(side)[place])} (${place})`;
    }

    words(selection) {
      const { layer, heads } = this.state;
      if (!heads.length) return "No head is chosen.";
      if (!selection) return "Point at a token, or move to one with the arrow keys, to read its weights. Enter keeps it in the address, Escape lets it go.";
      const asks = selection.side === "query";
      const verb = asks ? "looks at" : "is looked at by";
      const parts = heads.map((head) => {
        const values = asks ? this.data.row(layer, head, selection.token)
          : this.data.column(layer, head, selection.token);
        const best = api.strongest(values, heads.length > 1 ? 1 : NAMED, asks && !this.state.sink ? 0 : -1);
        const named = best.map((place) => `${this.name(asks ? "key" : "query", place)} ${weight(values[place])}`).join(", ");
        return heads.length > 1 ? `${this.data.name(layer, head)}: ${named || "none"}` : named || "none";
      });
      return `${this.name(selection.side, selection.token)} ${verb} ${parts.join("; ")}.`;
    }
  };
})();
