// Attention over the patches of a reader's picture, in the component that the pages of heads have (patches.js).
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const { make, writeState, bytes, UNIT } = globalThis.cutawayAttention;
  const { asked } = globalThis.cutawayPicture;

  // Weights (tokens, tokens) of one head as whole ten-thousandths, halves to even as numpy rounds them.
  function units(weights) {
    return Uint16Array.from(weights, (one) => {
      const value = one * UNIT, below = Math.floor(value);
      return value - below === 0.5 ? below + (below % 2) : Math.round(value);
    });
  }

  // The rows of the tokens that the answer is read from; of none, the mean of all patches.
  function looks(weights, { special, readers }) {
    const tokens = Math.sqrt(weights.length);
    return Float64Array.from({ length: readers.length * tokens }, (_, i) => {
      const own = special.indexOf(readers[Math.floor(i / tokens)]);
      if (own >= 0) return weights[own * tokens + (i % tokens)];
      let sum = 0;
      for (let query = special.length; query < tokens; query += 1) sum += weights[query * tokens + (i % tokens)];
      return sum / (tokens - special.length);
    });
  }

  class Heads {
    constructor(host, session) {
      this.told = session.descriptor.picture;
      this.data = { ...this.told.patches, colours: bytes(this.told.patches.colours) };
      this.pick = make("p", "c-live-bar");
      this.place = make("div");
      host.append(make("h3", "", "Where its heads look"), this.pick, this.place);
      this.selects = ["Layer", "Head"].map((name) => {
        const label = make("label", "", `${name}: `);
        const select = make("select", "c-live-select");
        label.append(select);
        this.pick.append(label);
        select.addEventListener("change", () => {
          writeState({ layer: this.told.heads[this.selects[0].value].name, head: this.selects[1].value, query: null }, true);
          this.follow();
        });
        return select;
      });
      this.link = make("a", "", "Its page");
      this.pick.append(this.link);
    }

    show(result) {
      this.result = result;
      const [layers, heads] = result.attention.dims;
      this.count = [layers, heads];
      const [layer, head] = this.selects;
      if (!layer.length) {
        layer.append(...Array.from({ length: layers }, (_, i) => new Option(this.told.heads[i].title, i)));
        head.append(...Array.from({ length: heads }, (_, i) => new Option(String(i), i)));
      }
      this.shown = null;
      this.follow();
    }

    follow() {
      if (!this.result) return;
      const whole = (text, count) => (/^\d{1,4}$/.test(text ?? "") && Number(text) < count ? Number(text) : null);
      const named = this.told.heads.findIndex(({ name }) => name === asked("layer"));
      const layer = named >= 0 ? named : whole(asked("layer"), this.count[0]) ?? this.count[0] - 1;
      const head = whole(asked("head"), this.count[1]) ?? 0;
      if (this.shown === `${layer} ${head}`) return;
      this.shown = `${layer} ${head}`;
      [this.selects[0].value, this.selects[1].value] = [layer, head];
      const way = this.told.head_page;
      this.link.hidden = !way;
      if (way) this.link.href = way.replace("{layer}", this.told.heads[layer].name).replace("{head}", head);
      this.draw(layer, head);
    }

    draw(layer, head) {
      const { data, dims } = this.result.attention;
      const each = dims[2] * dims[3];
      const start = (layer * dims[1] + head) * each;
      const weights = data.subarray(start, start + each);
      const picture = { rows: units(looks(weights, this.data)), matrix: units(weights), source: "here", squares: this.data.grid, block: 1 };
      const host = make("div", "c-patches-play");
      Object.assign(host.dataset, { image: "own", photo: this.result.photo, query: "query" });
      this.place.replaceChildren(host);
      globalThis.cutawayPatches.play(host, { ...this.data, pictures: { own: picture } });
    }
  }

  return { Heads, looks, units };
})());
