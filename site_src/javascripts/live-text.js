// “Try your own” for a network that reads: a reader's sentence through all views that there are for curated ones.
// The sentence stands in the address, with the head and the token that are looked at, and can be sent to others.
(() => {
  const api = globalThis.cutawayAttention;
  const numbers = globalThis.cutawayNumbers;
  const parts = globalThis.cutawayLiveParts;
  const live = globalThis.cutawayLive;
  const { make } = api;
  const LONGEST = 2000; // characters, so that an address can hold them
  const UNBALANCED = 0.001; // rows of attention sum to 1 within this
  const asked = () => new URLSearchParams(location.hash.slice(1));

  const plural = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
  const code = (point) => `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;

  class Page {
    constructor(shell) {
      Object.assign(this, { shell, session: null, turn: 0, shown: null, component: null });
      const { input } = shell;
      const text = asked().get("text");
      if (text !== null) input.value = text;
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing || !this.session) return;
        event.preventDefault();
        this.look(true);
      });
      addEventListener("hashchange", () => this.follow());
    }

    // An address that names another text, as after a step back.
    follow() {
      const text = asked().get("text");
      if (text === null || text === this.shown) return;
      this.shell.input.value = text;
      if (this.session) this.look(false);
    }

    async look(step) {
      const turn = ++this.turn;
      const { shell } = this;
      const text = shell.input.value.replace(/\n+$/, "");
      try {
        const read = await this.read(text);
        if (turn !== this.turn) return;
        shell.say("The network reads …");
        const started = performance.now();
        const found = await this.compute(read);
        if (turn !== this.turn) return;
        const took = performance.now() - started;
        const view = this.view();
        const made = await this.parts(text, read, found, view);
        if (turn !== this.turn) return;
        this.show(text, step, made);
        this.component = api.adopt(view, { ...this.data(read, found.attention), neurons: this.vectors(read) });
        shell.say(`${plural(read.ids.length, "token")}, computed in this browser in ${took < 1000 ? `${Math.ceil(took)} ms` : `${(took / 1000).toFixed(1)} s`}.`);
      } catch (error) {
        if (turn !== this.turn) return;
        shell.failed(error, "when the text was read");
        if (!shell.session) this.session = null; // it has to be loaded again
      }
    }

    // The tokens of a text. Throws the sentence why it is not read.
    async read(text) {
      const { limit, minimum } = this.session.descriptor.text;
      if (!text.trim()) throw new live.Said("Type a sentence first.");
      const { length } = Array.from(text);
      if (length > LONGEST) {
        throw new live.Said(`This text has ${plural(length, "character")}; this page reads up to ${LONGEST.toLocaleString("en")} and ${limit} tokens. Choose a part of it.`);
      }
      const read = await this.session.encode(text);
      if (read.refused !== undefined) {
        const lone = read.refused >= 0xd800 && read.refused <= 0xdfff;
        throw new live.Said(lone ? `This text holds half of a character, ${code(read.refused)}, which is no text.`
          : `This text holds ${api.quoted(String.fromCodePoint(read.refused))} (${code(read.refused)}), of which the tokenizer in this browser may make other tokens than the network learned with. Leave it out.`);
      }
      if (read.ids.length > limit) {
        throw new live.Said(`This text has ${plural(read.ids.length, "token")}; this page reads up to ${limit}. Choose a part of it.`);
      }
      if (read.ids.length < (minimum ?? 1)) throw new live.Said("This text has too few tokens for the network.");
      return read;
    }

    feeds(ids, at) {
      const { input, place } = this.session.descriptor;
      const whole = (values, dims) => ({ type: "int64", data: BigInt64Array.from(values, BigInt), dims });
      return { [input.name]: whole(ids, [1, ids.length]), ...(place ? { [place.name]: whole([at], [1]) } : {}) };
    }

    // The outputs by role. Refuses attention that cannot be any.
    async compute({ ids }) {
      const roles = await this.roles(ids, ({ role }) => role !== "query" && role !== "key");
      const worst = numbers.unbalance(roles.attention.data, roles.attention.dims[3]);
      if (!(worst < UNBALANCED)) throw new live.Said("The weights that this browser computed do not sum to 1, which attention does: they are not shown.");
      return roles;
    }

    async roles(ids, wanted) {
      const outputs = this.session.descriptor.outputs.filter(wanted);
      const found = await this.session.run(this.feeds(ids, 0), outputs.map(({ name }) => name));
      return Object.fromEntries(outputs.map(({ name, role }) => [role, found[name]]));
    }

    // The queries and keys of a layer as the neuron view takes them; computed when it is first asked for.
    vectors({ ids }) {
      const { scales } = this.session.descriptor.text;
      if (!scales?.length) return null;
      let found = null;
      return async (layer) => {
        found ??= this.roles(ids, ({ role }) => role === "query" || role === "key");
        const { query, key } = await found;
        const [, heads, count, width] = query.dims;
        const of = ({ data }) => data.subarray(layer * heads * count * width, (layer + 1) * heads * count * width);
        return { heads, groups: heads, width, scale: scales[layer], query: of(query), key: numbers.turned(of(key), width, count) };
      };
    }

    // The logits of the token that stands at a place, hidden there.
    async fill(ids, place) {
      const { outputs, text } = this.session.descriptor;
      const { name } = outputs.find(({ role }) => role === "logits");
      const found = await this.session.run(this.feeds(ids.with(place, text.mask), place), [name]);
      return found[name].data;
    }

    get stack() {
      return this.session.descriptor.text.stacks[0];
    }

    async parts(text, read, found, view) {
      const { session } = this;
      return [
        this.tokens(read), ...(await parts.answers(session, read, found, (place) => this.fill(read.ids, place))),
        make("h3", "", "Where every head looks"), view,
        make("h3", "", "Its heads in numbers"), ...(await this.statistics(text, read, found.attention)),
        ...(await parts.lensTable(session, found.lens)),
      ];
    }

    // The text goes into the address. What was chosen on the last one is none of its tokens. Who comes from the page
    // of a layer names no head: it begins with the first.
    show(text, step, made) {
      if (this.component) api.release(this.component);
      const first = this.shown === null;
      const other = text !== this.shown && text !== asked().get("text");
      const { layer, head } = api.readState();
      this.shown = text;
      api.writeState({
        text, ...(other ? { token: null, element: null, from: null } : {}), ...(layer !== null && head === null ? { head: "0" } : {}),
      }, other && step && !first);
      this.shell.results.replaceChildren(...made);
    }

    tokens({ tokens }) {
      const made = make("p", "c-live__tokens");
      made.append(make("span", "c-live__count", "Read as "));
      for (const text of tokens) made.append(make("bdi", "", text), " ");
      return made;
    }

    // The element as pages have it, without what leads to data of a curated text.
    view() {
      const template = this.shell.root.querySelector("template[data-live-view=model_view]");
      const made = template.content.querySelector(".c-attention").cloneNode(true);
      made.replaceChildren();
      for (const name of ["text", "source", "alone", "neurons"]) delete made.dataset[name];
      const { head_page: page, scales } = this.session.descriptor.text;
      if (page) made.dataset.heads = page;
      if (scales?.length) made.dataset.neurons = "computed here";
      return made;
    }

    data({ tokens }, { data, dims: [layers, heads, count] }) {
      const { stack } = this;
      const values = numbers.whole(data, count, stack.causal);
      return { tokens, letter: stack.letter, causal: stack.causal, layer: 0, head: 0, layers, heads, values };
    }

    // A row for each head, computed layer by layer so that the page stays awake.
    async statistics(text, { ids }, { data, dims: [layers, heads, count] }) {
      const { stack } = this;
      const columns = numbers.statisticsOf(stack.causal);
      const earlier = numbers.copies(ids);
      const rows = [];
      for (let layer = 0; layer < layers; layer += 1) {
        for (let head = 0; head < heads; head += 1) {
          const start = (layer * heads + head) * count * count;
          const values = numbers.statistics(data.subarray(start, start + count * count), earlier);
          rows.push({ layer, head, name: `${stack.letter}${layer}H${head}`, values });
        }
        await numbers.pause();
      }
      const narrow = (stack.windows ?? []).some((window) => window && window < count);
      const control = narrow ? null : numbers.statistics(numbers.even(count, stack.causal), earlier);
      return parts.heads(text, rows, columns, control, (one) => this.open(one));
    }

    // A head of the table, in the view above it.
    open({ layer, head }) {
      api.writeState({ layer: String(layer), head: String(head) }, true);
      this.component.root.scrollIntoView({ block: "start" });
      this.component.title.focus({ preventScroll: true });
    }
  }

  live.kinds.text = {
    again: "Show where it looks",
    start(root, shell) {
      this.page = new Page(shell);
    },
    async ready(session, shell) {
      this.page.session = session;
      if (shell.input.value.trim()) await this.page.look(true);
      else shell.say("The network is there. Type a sentence.");
    },
    go() {
      this.page.look(true);
    },
  };
})();
