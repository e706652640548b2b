// The head view: the tokens that look on the left, those they look at on the right, lines by weight.
(() => {
  const api = globalThis.cutawayAttention;
  const { make, UNIT } = api;
  const WINDOW = 64; // tokens of a long text that stand side by side
  const FAINT = 0.01 * UNIT; // lines below are left out until a token is chosen
  const BLOCK = 7; // width of a head's mark beside a key

  function list(component, side, [from, to]) {
    const column = make("ol", `c-lines__tokens c-lines__tokens--${side}`);
    column.setAttribute("aria-label", side === "query" ? "Tokens that look" : "Tokens that are looked at");
    for (let place = from; place < to; place += 1) {
      const button = make("button", "c-token");
      button.type = "button";
      button.dataset.place = `${side}${place}`;
      button.tabIndex = -1;
      const number = make("span", "c-token__place", String(place));
      const value = make("span", "c-token__weight");
      const parts = [number, api.token(component.data.tokensOf(side)[place]), value];
      button.append(...(side === "query" ? parts : parts.reverse()));
      column.append(make("li"));
      column.lastChild.append(button);
    }
    return column;
  }

  // The tokens of one side that are shown. The address names the place of the longer side, which the
  // other follows in proportion: where a text looks at itself, both show the same.
  function windowOf(component, side) {
    const { data, state } = component;
    const length = data.tokensOf(side).length;
    if (length <= api.views.lines.most) return [0, length];
    const { from, pinned } = state;
    const share = length / data.tokensOf(pinned && from === null ? pinned.side : longer(data)).length;
    const wanted = Math.round((from ?? (pinned ? pinned.token - WINDOW / 2 : 0)) * share);
    const first = Math.max(0, Math.min(wanted, length - WINDOW));
    return [first, Math.min(first + WINDOW, length)];
  }

  const longer = (data) => (data.width > data.length ? "key" : "query");

  function pager(component, [from, to], side) {
    const { length } = component.data.tokensOf(side);
    const bar = make("div", "c-attention__group c-lines__pager");
    const step = (label, by) => {
      const next = Math.max(0, Math.min(from + by, length - WINDOW));
      const button = component.button(label, {}, () => api.writeState({ from: String(next) }, true));
      button.disabled = next === from;
      return button;
    };
    const words = make("span", "", `tokens ${from} to ${to - 1} of ${length}`);
    bar.append(step("← earlier", -WINDOW / 2), words, step("later →", WINDOW / 2), make("span", "c-lines__outside"));
    return bar;
  }

  function build(component, host) {
    const shown = { query: windowOf(component, "query"), key: windowOf(component, "key") };
    const side = longer(component.data);
    const [from, to] = shown[side];
    if (to - from < component.data.tokensOf(side).length) host.append(pager(component, shown[side], side));
    const grid = make("div", "c-lines");
    const columns = { query: list(component, "query", shown.query), key: list(component, "key", shown.key) };
    const picture = make("canvas", "c-lines__canvas");
    picture.setAttribute("aria-hidden", "true");
    const middle = make("div", "c-lines__middle");
    middle.append(picture);
    grid.append(columns.query, middle, columns.key);
    host.append(grid);
    const view = new Lines(component, { grid, columns, picture, middle, shown });
    view.listen();
    return view;
  }

  class Lines {
    constructor(component, parts) {
      Object.assign(this, { component }, parts);
    }

    buttons(side) {
      return [...this.columns[side].querySelectorAll(".c-token")];
    }

    listen() {
      const of = (target) => {
        const place = target.closest?.("[data-place]")?.dataset.place;
        const side = place?.startsWith("key") ? "key" : "query";
        return place ? { side, token: Number(place.slice(side.length)) } : null;
      };
      const { grid, component } = this;
      this.buttons("query")[0].tabIndex = 0;
      grid.addEventListener("pointerover", (event) => {
        const found = of(event.target);
        if (found && event.pointerType !== "touch") component.hover(found);
      });
      grid.addEventListener("focusin", (event) => component.hover(of(event.target)));
      grid.addEventListener("focusout", (event) => {
        if (!grid.contains(event.relatedTarget)) component.hover(null);
      });
      grid.addEventListener("click", (event) => {
        const found = of(event.target);
        if (found) component.pin(found);
      });
      grid.addEventListener("keydown", (event) => this.move(event, of(event.target)));
    }

    move(event, at) {
      if (!at) return;
      const to = {
        ArrowUp: [at.side, at.token - 1],
        ArrowDown: [at.side, at.token + 1],
        ArrowLeft: ["query", at.token],
        ArrowRight: ["key", at.token],
        Home: [at.side, 0],
        End: [at.side, Infinity],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      const [first, end] = this.shown[to[0]];
      const place = Math.max(first, Math.min(to[1], end - 1));
      const next = this.columns[to[0]].children[place - first].firstChild;
      for (const button of [...this.buttons("query"), ...this.buttons("key")]) button.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }

    show(selection) {
      const { component } = this;
      for (const side of ["query", "key"]) {
        const chosen = selection?.side === side ? selection.token : -1;
        const values = selection && selection.side !== side ? this.weightsOf(selection) : null;
        this.buttons(side).forEach((button, i) => {
          const place = this.shown[side][0] + i;
          const pinned = component.state.pinned;
          button.classList.toggle("c-token--chosen", place === chosen);
          button.setAttribute("aria-pressed", String(pinned?.side === side && pinned.token === place));
          // Under a causal mask no earlier token looks at the chosen one.
        const blind = side === "query" && component.data.causal && place < (selection?.token ?? 0);
        this.mark(button, blind ? null : values, place);
        });
      }
      const outside = this.component.host.querySelector(".c-lines__outside");
      if (outside) outside.textContent = this.outside(selection);
      this.draw(selection);
    }

    // What a window of a long text does not show of one head's row.
    outside(selection) {
      const { heads } = this.component.state;
      if (heads.length !== 1 || selection?.side !== "query") return "";
      const [{ values }] = this.weightsOf(selection);
      const shown = values.subarray(...this.shown.key).reduce((sum, value) => sum + value, 0);
      const all = values.reduce((sum, value) => sum + value, 0);
      return `${api.weight(all - shown)} of its weight goes to tokens not shown here`;
    }

    // The weights of each chosen head between the selected token and all tokens of the other side.
    weightsOf({ side, token }) {
      const { data, state } = this.component;
      return state.heads.map((head) => {
        const values = side === "query" ? data.row(state.layer, head, token)
          : data.column(state.layer, head, token);
        return { head, values };
      });
    }

    mark(button, all, place) {
      const label = button.querySelector(".c-token__weight");
      const best = all?.reduce((found, one) => ((one.values[place] ?? -1) > (found?.values[place] ?? -1) ? one : found), null);
      const value = best?.values[place];
      label.textContent = value === undefined ? "" : api.weight(value);
      if (value !== undefined && all.length > 1) {
        label.append(make("small", "", ` ${this.component.data.name(this.component.state.layer, best.head)}`));
      }
      const hidden = value === undefined || (!this.component.state.sink && place === 0 && button.dataset.place.startsWith("key"));
      const share = hidden ? 0 : Math.sqrt(value / UNIT);
      button.style.setProperty("--share", share.toFixed(3));
    }

    draw(selection) {
      const { columns, picture, middle } = this;
      const width = middle.clientWidth;
      const height = Math.max(columns.query.offsetHeight, columns.key.offsetHeight);
      const pen = api.canvas(picture, width, height);
      const step = columns.query.firstChild.getBoundingClientRect().height;
      const { query: rows, key: keys } = this.shown;
      const lines = this.lines(selection);
      const { heads } = this.component.state;
      const block = Math.min(BLOCK, Math.floor(width / 2 / heads.length));
      const marks = heads.length > 1 && selection ? heads.length * block : 0;
      for (const line of lines) {
        const [left, right] = [line.query - rows[0], line.key - keys[0]].map((place) => (place + 0.5) * step);
        const start = selection?.side === "key" ? marks : 0;
        const reach = width - marks;
        pen.globalAlpha = (selection ? 0.2 : 0.06) + 0.8 * (line.value / UNIT) ** (selection ? 0.5 : 0.6);
        pen.strokeStyle = line.colour;
        pen.lineWidth = 0.6 + 3.4 * (line.value / UNIT);
        pen.beginPath();
        pen.moveTo(start, left);
        pen.bezierCurveTo(start + reach * 0.45, left, start + reach * 0.55, right, start + reach, right);
        pen.stroke();
      }
      if (marks) this.blocks(pen, selection, width, step, block);
      pen.globalAlpha = 1;
    }

    // Weakest first, so that the strong ones lie on top.
    lines(selection) {
      const { data, state } = this.component;
      const found = [];
      for (const head of state.heads) {
        const colour = api.headColour(head, this.component.kind === "layer" ? this.component.weights.of : 1);
        for (let query = this.shown.query[0]; query < this.shown.query[1]; query += 1) {
          if (selection?.side === "query" && selection.token !== query) continue;
          const row = data.row(state.layer, head, query);
          const [first, end] = this.shown.key;
          for (let key = Math.max(first, state.sink ? 0 : 1); key < Math.min(end, row.length); key += 1) {
            if (selection?.side === "key" && selection.token !== key) continue;
            const value = row[key];
            if (value > (selection ? 0 : FAINT)) found.push({ query, key, value, colour });
          }
        }
      }
      return found.sort((a, b) => a.value - b.value);
    }

    // With several heads, a mark for each of them stands beside every token of the other side.
    blocks(pen, selection, width, step, block) {
      const { heads } = this.component.state;
      const left = selection.side === "query" ? width - heads.length * block : 0;
      const [first, end] = this.shown[selection.side === "query" ? "key" : "query"];
      this.weightsOf(selection).forEach(({ head, values }, i) => {
        pen.fillStyle = api.headColour(head, this.component.weights.of);
        for (let place = first; place < Math.min(end, values.length); place += 1) {
          pen.globalAlpha = Math.sqrt(values[place] / UNIT);
          pen.fillRect(left + i * block, (place - first) * step + 1, block - 1, step - 2);
        }
      });
    }
  }

  api.views.lines = { label: "Lines", build, most: 96 };
})();
