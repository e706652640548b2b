// The model view: every head as a thumbnail, layers downwards, heads to the right.
(() => {
  const api = globalThis.cutawayAttention;
  const { make, weight } = api;
  const GUTTER = 30; // px for the numbers of the layers
  const TOP = 20;
  const GAP = 3;
  const LARGEST = 52;

  class Grid {
    constructor(component, host) {
      this.component = component;
      this.host = host;
      this.at = null;
      this.picture = make("canvas", "c-grid__canvas");
      this.picture.tabIndex = 0;
      this.picture.setAttribute("role", "application");
      this.frame = make("div", "c-grid__frame");
      this.chosen = make("div", "c-grid__frame c-grid__frame--chosen");
      this.stage = make("div", "c-grid__stage");
      this.stage.append(this.picture, this.frame, this.chosen);
      this.words = make("p", "c-attention__summary");
      this.words.setAttribute("role", "status");
      host.append(this.stage, this.words);
      const { layers, heads } = component.weights;
      this.picture.setAttribute("aria-label", `All heads, ${layers} layers by ${heads} heads; arrow keys move, Enter opens one`);
      this.listen();
    }

    measure() {
      const { heads, layers } = this.component.weights;
      const room = this.host.clientWidth - GUTTER;
      this.tile = Math.max(12, Math.min(LARGEST, Math.floor(room / heads) - GAP));
      this.width = GUTTER + heads * (this.tile + GAP);
      this.height = TOP + layers * (this.tile + GAP);
    }

    // All tiles as one picture: each dot the largest weight that falls on it.
    draw() {
      this.measure();
      const pen = api.canvas(this.picture, this.width, this.height);
      const { weights } = this.component;
      const scale = this.picture.width / this.width;
      const dots = Math.max(1, Math.round(this.tile * scale));
      const image = pen.createImageData(dots, dots);
      const words = new Uint32Array(image.data.buffer);
      const ramp = api.colours().map(packed);
      const unseen = packed(api.unseen());
      for (let layer = 0; layer < weights.layers; layer += 1) {
        for (let head = 0; head < weights.heads; head += 1) {
          tile(weights, layer, head, dots, (i, value) => {
            words[i] = value < 0 ? unseen : ramp[api.LEVEL[value]];
          });
          const [x, y] = this.corner(layer, head);
          pen.putImageData(image, Math.round(x * scale), Math.round(y * scale));
        }
      }
      this.numbers(pen);
    }

    numbers(pen) {
      const { layers, heads } = this.component.weights;
      pen.fillStyle = api.ink("--c-quiet");
      pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
      pen.textBaseline = "middle";
      pen.textAlign = "right";
      for (let layer = 0; layer < layers; layer += 1) {
        pen.fillText(String(layer), GUTTER - 6, this.corner(layer, 0)[1] + this.tile / 2);
      }
      pen.textAlign = "center";
      for (let head = 0; head < heads; head += 1) {
        pen.fillText(String(head), this.corner(0, head)[0] + this.tile / 2, TOP / 2);
      }
    }

    corner(layer, head) {
      return [GUTTER + head * (this.tile + GAP), TOP + layer * (this.tile + GAP)];
    }

    under(event) {
      const head = Math.floor((event.offsetX - GUTTER) / (this.tile + GAP));
      const layer = Math.floor((event.offsetY - TOP) / (this.tile + GAP));
      return this.inside(layer, head) ? [layer, head] : null;
    }

    inside(layer, head) {
      const { layers, heads } = this.component.weights;
      return layer >= 0 && layer < layers && head >= 0 && head < heads;
    }

    listen() {
      const { picture } = this;
      picture.addEventListener("pointermove", (event) => this.point(this.under(event)));
      picture.addEventListener("pointerleave", () => this.point(null));
      picture.addEventListener("blur", () => this.point(null));
      picture.addEventListener("click", (event) => this.open(this.under(event), false));
      picture.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        const { layer, heads } = this.component.asked();
        const from = this.at ?? (heads.length ? [layer, heads[0]] : null);
        if (event.key === "Enter") this.open(from, true);
        else if (event.key === "Escape") this.close();
        else if (step) this.point(this.next(from, step));
        else return;
        event.preventDefault();
      });
    }

    next(from, step) {
      if (!from) return [0, 0];
      const to = [from[0] + step[0], from[1] + step[1]];
      return this.inside(...to) ? to : from;
    }

    point(at) {
      this.at = at;
      place(this.frame, at && this.corner(...at), this.tile);
      this.words.textContent = at ? this.describe(...at)
        : "Each small map is one head: rows look, columns are looked at. Point at one, choose it to see it large.";
    }

    // The strongest link of a head that does not end at the first token.
    describe(layer, head) {
      const { weights } = this.component;
      const name = weights.name(layer, head);
      if (weights.block > 1) return `${name}. Enter or click opens it.`;
      let [best, from, to] = [0, 0, 0];
      for (let query = 0; query < weights.length; query += 1) {
        const row = weights.row(layer, head, query);
        for (let key = 1; key < row.length; key += 1) {
          if (row[key] > best) [best, from, to] = [row[key], query, key];
        }
      }
      const pair = `${api.quoted(weights.tokens[from])} → ${api.quoted(weights.keys[to])} ${weight(best)}`;
      return best ? `${name}: strongest link past the first token ${pair}.`
        : `${name}: all weight lies on the first token.`;
    }

    open(at, byKey) {
      if (!at) return;
      api.writeState({ layer: String(at[0]), head: String(at[1]) }, true);
      const { panel } = this.component;
      if (byKey) this.component.title.focus();
      else if (panel.getBoundingClientRect().top > innerHeight - 80) panel.scrollIntoView({ block: "start" });
    }

    close() {
      api.writeState({ layer: null, head: null, token: null }, true);
    }

    leave() {
      this.picture.focus();
      this.close();
    }

    update(state, anew) {
      if (anew) {
        this.draw();
        this.point(this.at);
      }
      const { layer, heads } = state;
      place(this.chosen, heads.length ? this.corner(layer, heads[0]) : null, this.tile);
    }
  }

  function place(frame, corner, tile) {
    frame.hidden = !corner;
    if (!corner) return;
    Object.assign(frame.style, {
      left: `${corner[0] - 2}px`, top: `${corner[1] - 2}px`, width: `${tile + 4}px`, height: `${tile + 4}px`,
    });
  }

  // Little-endian RGBA, as all that browsers run on have it.
  const packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

  // Where each of `dots` begins among `count` cells, and where the last one ends: at least one cell each.
  function cuts(count, dots) {
    const per = count / dots;
    return (dot) => (per <= 1 ? [Math.floor(dot * per), Math.floor(dot * per) + 1]
      : [Math.ceil(dot * per), Math.ceil((dot + 1) * per)]);
  }

  // The largest weight on each of dots x dots; -1 where nothing can be seen.
  function tile(weights, layer, head, dots, put) {
    const [down, across] = [cuts(weights.side, dots), cuts(weights.across, dots)];
    const columns = Array.from({ length: dots }, (_, x) => across(x));
    for (let y = 0; y < dots; y += 1) {
      const [first, last] = down(y);
      const most = new Int32Array(dots).fill(-1);
      for (let query = first; query < last; query += 1) {
        const row = weights.row(layer, head, query);
        for (let x = 0; x < dots; x += 1) {
          const end = Math.min(columns[x][1], row.length);
          for (let key = columns[x][0]; key < end; key += 1) if (row[key] > most[x]) most[x] = row[key];
        }
      }
      for (let x = 0; x < dots; x += 1) put(y * dots + x, most[x]);
    }
  }

  api.grid = (component, host) => new Grid(component, host);
})();
