// What a network says of a picture: its most probable classes, and where the evidence for each lies.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const { make, writeState } = globalThis.cutawayAttention;
  const { over, number, percent, placeOf } = globalThis.cutawayPicture;
  const LISTED = 5, MAPPED = 3; // classes

  const asked = (name) => new URLSearchParams(location.hash.slice(1)).get(name);

  // Probabilities of logits in double precision: a softmax, or a sigmoid of each where several can be right.
  function shares(logits, exclusive) {
    if (!exclusive) return Float64Array.from(logits, (one) => 1 / (1 + Math.exp(-one)));
    const most = logits.reduce((found, one) => Math.max(found, one), -Infinity);
    const raised = Float64Array.from(logits, (one) => Math.exp(one - most));
    const sum = raised.reduce((total, one) => total + one, 0);
    return raised.map((one) => one / sum);
  }

  // The class activation map of one class, in logits: weights of the class times the last feature maps.
  function classMap({ data, units, rows, columns }, weight, chosen) {
    const size = rows * columns;
    const values = new Float64Array(size);
    for (let unit = 0; unit < units; unit += 1) {
      const own = weight[chosen * units + unit];
      for (let i = 0; i < size; i += 1) values[i] += own * data[unit * size + i];
    }
    return { values, rows, columns };
  }

  class Classes {
    constructor(host, session) {
      Object.assign(this, { session, told: session.descriptor.picture });
      this.list = make("ol", "c-guesses c-live-guesses");
      this.maps = make("div", "c-classes");
      this.why = make("p", "c-look");
      if (!this.told.classes) {
        host.append(make("p", "c-look", this.told.no_classes ?? ""));
        return;
      }
      host.append(this.list);
    }

    // The maps stand below what the network says.
    below(host) {
      if (!this.told.classes) return;
      host.append(make("h3", "", "Where the evidence lies"));
      if (!this.told.cam) {
        host.append(make("p", "c-look", this.told.no_cam ?? ""));
        return;
      }
      this.select = make("select", "c-live-select");
      this.select.append(...this.told.classes.map((name, index) => new Option(name, index)));
      const none = new Option("choose one", "");
      this.select.prepend(none);
      this.select.value = "";
      this.select.addEventListener("change", () => writeState({ class: this.select.value || null }, true));
      this.select.addEventListener("change", () => this.draw());
      const label = make("label", "c-live-pick", "The map of another class: ");
      label.append(this.select);
      this.why.textContent = "Class activation maps (Zhou et al. 2016): bright is evidence for the class, on one scale for all maps shown. The mean of a map and the bias make the logit, which is computed here anew.";
      host.append(this.why, this.maps, label);
    }

    async show(result) {
      this.result = result;
      if (!this.told.classes) return;
      const { logits } = result;
      this.shares = shares(logits, this.told.exclusive ?? true);
      this.order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
      this.list.replaceChildren(...this.order.slice(0, LISTED).map((index) => this.bar(index)));
      await this.draw();
    }

    bar(index) {
      const line = make("li");
      const bar = make("span", "c-bar");
      bar.style.setProperty("--share", this.shares[index].toFixed(4));
      line.append(bar, make("span", "", this.told.classes[index]), " ", make("span", "c-number", percent(this.shares[index])));
      return line;
    }

    // The class in the address, where there is such a one.
    chosen() {
      const text = asked("class") ?? "";
      const index = /^\d{1,6}$/.test(text) ? Number(text) : -1;
      return index >= 0 && index < this.told.classes.length ? index : null;
    }

    async draw() {
      if (!this.told.cam || !this.result) return;
      const { result } = this;
      const { layer, weight, bias } = this.told.cam;
      const features = result.layers.get(layer);
      this.weight ??= await this.session.tensor(weight);
      this.bias ??= bias === null ? null : await this.session.tensor(bias);
      if (result !== this.result || !features) return;
      const chosen = this.chosen();
      this.select.value = chosen ?? "";
      const shown = [...new Set([...this.order.slice(0, MAPPED), ...(chosen === null ? [] : [chosen])])];
      const maps = shown.map((index) => classMap(features, this.weight, index));
      const most = Math.max(...maps.flatMap(({ values }) => [...values]));
      this.maps.replaceChildren(...maps.map((map, i) => this.figure(map, shown[i], most)));
    }

    figure(map, index, most) {
      const { values } = map;
      const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
      const bias = this.bias ? this.bias[index] : 0;
      const logit = this.result.logits[index];
      const canvas = make("canvas", "c-live-photo");
      over(canvas, this.result.grey, map, most);
      const name = this.told.classes[index];
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Where the evidence for ${name} lies in your picture: strongest ${placeOf(map, values.indexOf(Math.max(...values)))}.`);
      const words = make("figcaption");
      words.append(make("strong", "", name), ` ${percent(this.shares[index])}`, make("br"));
      words.append(`mean of the map ${number(mean)} + bias ${number(bias)} = logit ${number(logit)}; off by ${number(Math.abs(mean + bias - logit), 2)}`);
      const figure = make("figure");
      Object.assign(figure.dataset, { class: index, mean, bias, logit });
      figure.append(canvas, words);
      return figure;
    }
  }

  return { Classes, classMap, shares, asked };
})());
