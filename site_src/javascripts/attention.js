// The attention components: what all views share. A component is an element `.c-attention` whose
// attributes say which heads of which text it shows; its views are in the files attention-*.js. The
// whole state stands in the address, so that a teacher can link to a moment.
globalThis.cutawayAttention = (() => {
  const UNIT = 10000; // weights are whole ten-thousandths
  const NEAR = "600px"; // a component opens when it comes this near to the screen

  // Data. A file `name.js` beside the page puts its object into cutawayData[name].

  const loading = new Map();

  function load(url) {
    const name = url.split("/").pop().replace(/\.js$/, "");
    if ("alone" in document.documentElement.dataset) return Promise.resolve(globalThis.cutawayData?.[name]); // within
    if (!loading.has(url)) {
      loading.set(url, new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = url;
        script.onload = () => done(globalThis.cutawayData[name]);
        script.onerror = () => {
          loading.delete(url);
          failed(new Error(url));
        };
        document.head.append(script);
      }));
    }
    return loading.get(url);
  }

  function bytes(text) {
    const raw = atob(text);
    const found = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) found[i] = raw.charCodeAt(i);
    return found;
  }

  // A value under 128 takes one byte, any other two, the first of them with its top bit set.
  function unpack(text, count) {
    const packed = bytes(text);
    const found = new Uint16Array(count);
    for (let i = 0, at = 0; i < count; i += 1) {
      const first = packed[at++];
      found[i] = first < 128 ? first : ((first & 127) << 8) | packed[at++];
    }
    return found;
  }

  // The weights of some heads on one text: whole ten-thousandths, `row` without the keys that a
  // causal model cannot see. `tokens` look, at themselves or at the `keys` of another text; there are
  // `length` of them and `width` keys, in `side` by `across` blocks.
  class Weights {
    constructor(data) {
      Object.assign(this, { tokens: data.tokens, keys: data.keys ?? data.tokens, causal: data.causal });
      Object.assign(this, { layer: data.layer, head: data.head, layers: data.layers, heads: data.heads });
      Object.assign(this, { block: data.block ?? 1, letter: data.letter, of: data.of ?? data.heads });
      this.length = this.tokens.length;
      this.width = this.keys.length;
      this.side = Math.ceil(this.length / this.block);
      this.across = Math.ceil(this.width / this.block);
      this.each = data.causal ? (this.side * (this.side + 1)) / 2 : this.side * this.across;
      this.values = data.values ?? unpack(data.weights, this.each * this.layers * this.heads);
    }

    name(layer, head) {
      return `${this.letter}${layer}H${head}`;
    }

    tokensOf(side) {
      return side === "query" ? this.tokens : this.keys;
    }

    row(layer, head, query) {
      const start = this.each * ((layer - this.layer) * this.heads + head - this.head);
      const before = this.causal ? (query * (query + 1)) / 2 : query * this.across;
      return this.values.subarray(start + before, start + before + (this.causal ? query + 1 : this.across));
    }

    column(layer, head, key) {
      const found = new Uint16Array(this.side);
      for (let query = this.causal ? key : 0; query < this.side; query += 1) {
        found[query] = this.row(layer, head, query)[key];
      }
      return found;
    }
  }

  // The weights of several heads that came one by one, as of a long text. Of no head: the first's tokens.
  class Together {
    constructor(parts, first) {
      this.parts = new Map(parts.map((part) => [part.head, part]));
      const { tokens, keys, causal, length, width, letter } = parts[0] ?? first;
      Object.assign(this, { tokens, keys, causal, length, width, letter });
    }

    row(layer, head, query) {
      return this.parts.get(head).row(layer, head, query);
    }

    column(layer, head, key) {
      return this.parts.get(head).column(layer, head, key);
    }
  }
  for (const name of ["name", "tokensOf"]) Together.prototype[name] = Weights.prototype[name];

  // The state, in the address beside what else stands there.

  const params = () => new URLSearchParams(location.hash.slice(1));

  function whole(text) {
    return text !== null && /^\d{1,5}$/.test(text) ? Number(text) : null;
  }

  function readState() {
    const all = params();
    const token = all.get("token") ?? "";
    const heads = all.get("heads");
    return {
      view: all.get("view"),
      layer: whole(all.get("layer")),
      head: whole(all.get("head")),
      heads: heads === null ? null : heads.split(".").filter((one) => whole(one) !== null).map(Number),
      token: whole(token.replace(/^k/, "")),
      side: token.startsWith("k") ? "key" : "query",
      element: whole(all.get("element")),
      from: whole(all.get("from")),
      sink: all.get("sink"),
    };
  }

  // `changes` maps names to text, or to null to leave them out. A `step` can be taken back.
  function writeState(changes, step) {
    const all = params();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) all.delete(name);
      else all.set(name, value);
    }
    const hash = `#${all}`;
    if (hash !== (location.hash || "#")) {
      const url = hash === "#" ? location.pathname + location.search : hash;
      try {
        history[step ? "pushState" : "replaceState"](null, "", url);
      } catch {
        if (hash !== location.hash) location.replace(hash); // a browser that allows no more for now
      }
    }
    refresh();
  }

  const open = new Set();

  function refresh() {
    for (const component of open) component.render();
  }

  // Small tools.

  function make(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // A token is text of any script: isolated, and never markup.
  function token(text) {
    const made = make("bdi", "c-token__text", text);
    if (text.length > 12) made.title = text;
    return made;
  }

  const weight = (value) => (value / UNIT).toFixed(4);
  const quoted = (text) => `“\u2068${text}\u2069”`;

  // `length` keys from strongest to weakest, equal ones in order.
  function strongest(values, length, leaveOut = -1) {
    const places = Array.from(values.keys()).filter((key) => key !== leaveOut && values[key] > 0);
    return places.sort((a, b) => values[b] - values[a] || a - b).slice(0, length);
  }

  function canvas(host, width, height) {
    const scale = Math.min(globalThis.devicePixelRatio || 1, 16384 / Math.max(width, height));
    host.width = Math.max(1, Math.round(width * scale));
    host.height = Math.max(1, Math.round(height * scale));
    host.style.width = `${width}px`;
    host.style.height = `${height}px`;
    const pen = host.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    return pen;
  }

  // Colours follow the palette of the page.

  const LIGHT = ["#ffffff", "#d3e5f5", "#86b8e0", "#2f7cc0", "#0b4a8f", "#04264f"];
  const DARK = ["#10141a", "#17304b", "#1d5590", "#3f8cd2", "#93c6f4", "#f0f8ff"];

  const isDark = () => document.body.dataset.mdColorScheme === "slate";

  function ramp(stops) {
    const rgb = stops.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    return Array.from({ length: 256 }, (_, level) => {
      const place = (level / 255) * (rgb.length - 1);
      const from = Math.min(Math.floor(place), rgb.length - 2);
      return rgb[from].map((one, i) => Math.round(one + (rgb[from + 1][i] - one) * (place - from)));
    });
  }

  const ramps = { false: ramp(LIGHT), true: ramp(DARK) };
  // The colour shows the square root of the weight, as on the static maps.
  const LEVEL = Uint8Array.from({ length: UNIT + 1 }, (_, i) => Math.round(255 * Math.sqrt(i / UNIT)));
  const colours = () => ramps[isDark()];
  const unseen = () => (isDark() ? [35, 41, 50] : [233, 236, 240]);
  const css = (rgb) => `rgb(${rgb.join(",")})`;

  function headColour(place, count) {
    const hue = Math.round(212 + 137.5 * place) % 360; // the golden angle: neighbours differ most
    return count < 2 ? (isDark() ? "#8fc1f5" : "#1f5fa8") : `hsl(${hue} ${isDark() ? "75% 70%" : "70% 38%"})`;
  }

  function ink(name) {
    return getComputedStyle(document.body).getPropertyValue(name).trim();
  }

  // A component that is made with its data, and shown at once; it follows the address until it is released.
  function adopt(root, data) {
    root.dataset.open = "";
    const component = new api.Component(root, data);
    open.add(component);
    component.open();
    return component;
  }

  const release = (component) => open.delete(component);

  // Opening: a component waits until it is near the screen, which one in a hidden tab never is.

  function start() {
    const roots = document.querySelectorAll(".c-attention[data-kind]");
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        watch.unobserve(target);
        const component = new api.Component(target);
        open.add(component);
        component.open();
      }
    }, { rootMargin: NEAR });
    for (const root of roots) {
      root.dataset.open = ""; // until then, and without a script, it takes no room
      watch.observe(root);
    }
    addEventListener("hashchange", refresh);
    document.addEventListener("change", (event) => {
      // Another text has other tokens.
      if (event.target.matches?.("[data-choice=text] .c-tabs__input")) {
        writeState({ token: null, element: null, from: null }, false);
      }
    });
    new MutationObserver(() => {
      for (const component of open) component.render(true);
    }).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  }

  const api = {
    UNIT, LEVEL, Weights, Together, views: {}, load, bytes, unpack, readState, writeState, make, token, weight, quoted,
    strongest, canvas, colours, unseen, css, headColour, ink, isDark, adopt, release,
  };
  addEventListener("DOMContentLoaded", start); // the other files have run by then
  return api;
})();
