// The stripes of the guided page: one vector each, drawn from the page's own data, which tells its numbers.
(() => {
  const api = globalThis.cutawayAttention;
  const { make } = api;
  const LABELS = { stream: "x", query: "q", key: "k", value: "v", mixed: "z", written: "z W", moved: "x′" };
  const number = (value) => (Math.abs(value) < 0.0005 ? "0" : value.toPrecision(3)).replace("-", "−");

  function vectorsOf({ tokens, ...data }) {
    const read = {};
    for (const [name, text] of Object.entries(data)) {
      const all = new Float32Array(api.bytes(text).buffer);
      const width = all.length / tokens.length;
      read[name] = { most: largest(all), of: (place) => all.subarray(place * width, (place + 1) * width) };
    }
    return read;
  }

  function largest(values) {
    return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  }

  // By the cube root of the share of the largest number: a few are far larger than all others.
  function colour(value, most) {
    const share = Math.cbrt(Math.min(1, Math.abs(value) / (most || 1)));
    const dark = api.isDark();
    const hue = value >= 0 ? (dark ? [122, 184, 245] : [20, 84, 158]) : (dark ? [245, 163, 92] : [183, 80, 0]);
    const ground = dark ? [20, 24, 31] : [255, 255, 255];
    return api.css(hue.map((one, i) => Math.round(ground[i] + (one - ground[i]) * share)));
  }

  class Stripe {
    constructor(host, kinds, tokens) {
      const [name, place] = host.dataset.vector.split(".");
      Object.assign(this, { host, label: LABELS[name], values: kinds[name].of(Number(place)) });
      this.canvas = make("canvas");
      this.text = make("span", "c-vector__text");
      // In the table all tokens share one scale; a stripe alone has its own.
      const large = Boolean(host.textContent.trim());
      this.most = large ? largest(this.values) : kinds[name].most;
      host.replaceChildren(this.canvas);
      if (large) host.append(this.text);
      this.tall = large ? 26 : 16;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", `${this.label} of ${api.quoted(tokens[place])}, ${this.values.length} numbers`);
      this.canvas.addEventListener("pointermove", (event) => this.tell(event));
      this.canvas.addEventListener("pointerleave", () => this.tell(null));
      this.tell(null);
    }

    tell(event) {
      const { values, label } = this;
      const share = event ? event.offsetX / this.canvas.clientWidth : 0;
      const element = Math.max(0, Math.min(Math.floor(share * values.length), values.length - 1));
      const text = event ? `${label}[${element}] = ${number(values[element])}`
        : `${values.length} numbers: ${Array.from(values.subarray(0, 4), number).join(", ")}, …`;
      this.text.textContent = text;
      if (!this.text.isConnected) this.canvas.title = event ? text : "";
    }

    draw() {
      const width = this.host.clientWidth;
      if (!width) return;
      const pen = api.canvas(this.canvas, width, this.tall);
      const step = width / this.values.length;
      this.values.forEach((value, i) => {
        pen.fillStyle = colour(value, this.most);
        pen.fillRect(i * step, 0, step + 0.3, this.tall);
      });
    }
  }

  // The chosen token stands in the address, where the back button finds it.
  function followAddress() {
    const inputs = [...document.querySelectorAll(".c-tabs--tokens > .c-tabs__input")];
    const first = inputs.findIndex((input) => input.checked);
    const choose = () => {
      const { token } = api.readState();
      (inputs[token ?? first] ?? inputs[first]).checked = true;
    };
    for (const input of inputs) {
      input.addEventListener("change", () => api.writeState({ token: input.value }, true));
    }
    addEventListener("hashchange", choose);
    choose();
  }

  addEventListener("DOMContentLoaded", () => {
    followAddress();
    const data = globalThis.cutawayData?.context;
    if (!data) return;
    const kinds = vectorsOf(data);
    const made = new Map();
    // A stripe is made when its panel is opened: most never are.
    const watch = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        if (!target.clientWidth) continue;
        if (!made.has(target)) made.set(target, new Stripe(target, kinds, data.tokens));
        made.get(target).draw();
      }
    });
    for (const host of document.querySelectorAll("[data-vector]")) watch.observe(host);
    new MutationObserver(() => {
      for (const stripe of made.values()) stripe.draw();
    }).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  });
})();
