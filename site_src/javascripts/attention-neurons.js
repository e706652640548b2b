// The neuron view: how a head comes to its weights. The query of one token, the keys of all it can see,
// their products element by element, the sum of these, the score and the weight.
(() => {
  const api = globalThis.cutawayAttention;
  const { make, quoted } = api;
  const TALL = 20; // px, a row's height
  const NAMED = 3;

  // Whole 16-bit steps of a vector's largest magnitude; or the numbers themselves.
  function vectors(text, steps, count, width) {
    if (ArrayBuffer.isView(text)) {
      return (group, place) => Float64Array.from(text.subarray((group * count + place) * width, (group * count + place + 1) * width));
    }
    const packed = api.bytes(text);
    const whole = new Int16Array(packed.buffer, 0, packed.length / 2);
    return (group, place) => {
      const start = (group * count + place) * width;
      return Float64Array.from(whole.subarray(start, start + width), (value) => value * steps[group]);
    };
  }

  const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(Math.abs(value) >= 10 ? 2 : 3)).replace("-", "−");

  // Blue above zero, orange below, the square root of the share of the largest.
  function colour(value, largest) {
    const share = Math.sqrt(Math.min(1, Math.abs(value) / (largest || 1)));
    const dark = api.isDark();
    const [r, g, b] = value >= 0 ? (dark ? [122, 184, 245] : [20, 84, 158]) : (dark ? [245, 163, 92] : [183, 80, 0]);
    const ground = dark ? [20, 24, 31] : [255, 255, 255];
    return api.css([r, g, b].map((one, i) => Math.round(ground[i] + (one - ground[i]) * share)));
  }

  function strip(canvas, values, largest, element) {
    const width = canvas.parentElement.clientWidth;
    const pen = api.canvas(canvas, width, TALL);
    const step = width / values.length;
    values.forEach((value, i) => {
      pen.fillStyle = colour(value, largest);
      pen.fillRect(i * step, 2, Math.max(step, 0.5) + 0.3, TALL - 4);
    });
    if (element !== null && element < values.length) {
      pen.strokeStyle = api.ink("--c-ink");
      pen.lineWidth = 1.5;
      pen.strokeRect(element * step, 1, step, TALL - 2);
    }
  }

  class Neurons {
    constructor(component, host) {
      const { neurons, data, state } = component;
      Object.assign(this, { component, neurons, host, element_: null, hovered: null });
      [this.head] = state.heads;
      this.group = Math.floor((this.head * neurons.groups) / neurons.heads);
      this.queryOf = vectors(neurons.query, neurons.querySteps, data.length, neurons.width);
      this.keyOf = vectors(neurons.key, neurons.keySteps, data.width, neurons.width);
      this.scoreOf = neurons.scores ? vectors(neurons.scores, neurons.scoreSteps, data.length, data.width) : null;
    }

    build() {
      const { component, host, neurons } = this;
      const pick = make("label", "c-neurons__pick", "Token that looks ");
      this.select = make("select");
      component.data.tokens.forEach((text, i) => {
        const option = make("option", "", `${i}: ${text}`);
        option.value = String(i);
        this.select.append(option);
      });
      this.select.dataset.place = "neurons";
      this.select.addEventListener("change", () => {
        api.writeState({ token: this.select.value, element: null }, true);
      });
      pick.append(this.select);
      this.table = make("table", "c-neurons");
      const note = make("p", "c-neurons__note", neurons.scale === null
        ? "The score is the sum of the products and what this model adds to it (a position bias, a cap); the weights are the softmax of the scores."
        : `Score = sum of the products × ${+neurons.scale.toPrecision(4)}; the weights are the softmax of the scores. Query and key stand as they are multiplied: after bias and position.`);
      const head = make("tr");
      for (const [name, kind] of [["Token", ""], ["Key", "key"], ["Query × key", ""], ["Sum", "sum"], ["Score", ""], ["Weight", ""]]) {
        const cell = make("th", kind ? `c-neurons__${kind}` : "", name);
        cell.scope = "col";
        head.append(cell);
      }
      this.table.append(make("thead"), make("tbody"));
      this.table.tHead.append(head);
      const scroll = make("div", "c-neurons__scroll");
      scroll.tabIndex = 0;
      scroll.setAttribute("role", "group");
      scroll.setAttribute("aria-label", "Elements of the vectors; the left and right arrow keys move from element to element");
      scroll.append(this.table);
      host.append(pick, note, scroll);
      this.listen(scroll);
      return this;
    }

    listen(scroll) {
      scroll.addEventListener("pointermove", (event) => {
        const canvas = event.target.closest("canvas");
        if (!canvas) return this.point(null);
        const share = event.offsetX / canvas.clientWidth;
        return this.point(Math.min(Math.floor(share * this.neurons.width), this.neurons.width - 1));
      });
      scroll.addEventListener("pointerleave", () => this.point(null));
      scroll.addEventListener("click", (event) => {
        if (this.hovered !== null && event.target.closest("canvas")) this.keep(this.hovered);
      });
      scroll.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const last = this.neurons.width - 1;
        const next = this.element_ === null ? 0 : this.element_ + step;
        this.keep(Math.max(0, Math.min(next, last)));
      });
    }

    keep(element) {
      const same = element === this.element_;
      api.writeState({ element: same ? null : String(element), token: String(this.token) }, false);
    }

    point(element) {
      if (element === this.hovered) return;
      this.hovered = element;
      this.component.hover(null);
    }

    element(element) {
      this.element_ = element !== null && element < this.neurons.width ? element : null;
    }

    // Without a choice: the last token, which sees all others whatever the mask.
    show(selection) {
      const { data } = this.component;
      const token = selection?.side === "query" ? selection.token : this.component.state.pinned?.token ?? data.length - 1;
      if (token !== this.token) {
        this.token = token;
        this.select.value = String(token);
        this.rows = this.measure(token);
        this.fill();
      }
      this.draw();
    }

    measure(token) {
      const { data, state } = this.component;
      const query = this.queryOf(this.head, token);
      const weights = data.row(state.layer, this.head, token);
      return Array.from(weights, (weight, place) => {
        const key = this.keyOf(this.group, place);
        const product = query.map((value, i) => value * key[i]);
        const sum = product.reduce((total, value) => total + value, 0);
        const score = this.scoreOf ? this.scoreOf(this.head, token)[place] : sum * this.neurons.scale;
        return { place, query, key, product, sum, score, weight };
      });
    }

    fill() {
      const body = this.table.tBodies[0];
      const { tokens, keys } = this.component.data;
      const query = make("tr", "c-neurons__query");
      query.append(this.name(tokens[this.token], "query of "), this.cell("c-neurons__key"), this.cell("c-neurons__own"), make("td", "c-neurons__sum"), make("td"), make("td"));
      body.replaceChildren(query, ...this.rows.map((row) => {
        const line = make("tr");
        const weight = make("td", "c-number c-neurons__weight", api.weight(row.weight));
        weight.style.setProperty("--share", (row.weight / api.UNIT).toFixed(4));
        line.append(
          this.name(keys[row.place], ""), this.cell("c-neurons__key"), this.cell(""),
          make("td", "c-number c-neurons__sum", number(row.sum)), make("td", "c-number", number(row.score)), weight,
        );
        return line;
      }));
    }

    name(text, before) {
      const cell = make("th");
      cell.scope = "row";
      if (before) cell.append(make("small", "", before));
      cell.append(api.token(text));
      return cell;
    }

    cell(kind) {
      const cell = make("td", kind);
      cell.append(make("div", "c-neurons__strip"));
      cell.firstChild.append(make("canvas"));
      return cell;
    }

    draw() {
      const most = (all) => all.reduce((found, values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), found), 0);
      const element = this.hovered ?? this.element_;
      const largest = { key: most(this.rows.map((row) => row.key)), product: most(this.rows.map((row) => row.product)) };
      const [first, ...others] = this.table.tBodies[0].rows;
      const { query } = this.rows[0];
      for (const canvas of first.querySelectorAll("canvas")) strip(canvas, query, most([query]), element);
      others.forEach((line, i) => {
        const [key, product] = line.querySelectorAll("canvas");
        strip(key, this.rows[i].key, largest.key, element);
        strip(product, this.rows[i].product, largest.product, element);
      });
    }

    words() {
      const { tokens, keys } = this.component.data;
      const element = this.hovered ?? this.element_;
      const best = this.rows.reduce((found, row) => (row.weight > found.weight ? row : found));
      const names = `${quoted(tokens[this.token])} (${this.token}) and ${quoted(keys[best.place])} (${best.place})`;
      if (element !== null) {
        const value = (name) => number(best[name][element]);
        return `Element ${element} of ${names}, the key it looks at most: ${value("query")} × ${value("key")} = ${value("product")} of the sum ${number(best.sum)}.`;
      }
      const order = Array.from(best.product.keys()).sort((a, b) => Math.abs(best.product[b]) - Math.abs(best.product[a]) || a - b);
      const named = order.slice(0, NAMED).map((i) => `element ${i} (${number(best.product[i])})`).join(", ");
      return `${names}: weight ${api.weight(best.weight)}, score ${number(best.score)}. The largest products are those of ${named}.`;
    }
  }

  api.views.neurons = { label: "Neurons", build: (component, host) => new Neurons(component, host).build() };
})();
