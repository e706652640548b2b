// The parts of a reader's results beside the attention: what the network would say, its logit lens, and all heads
// in numbers. They look as the same parts of other pages do.
globalThis.cutawayLiveParts = (() => {
  const { make, writeState } = globalThis.cutawayAttention;
  const { number, percent, guesses, lens } = globalThis.cutawayNumbers;

  // What scrolls sideways takes the focus, as all such boxes of the site.
  function box(className, what, content) {
    const made = make("div", className);
    made.tabIndex = 0;
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", `${what}, scrolls sideways where it is wider than the page`);
    made.append(content);
    return made;
  }

  function row(...cells) {
    const made = make("tr");
    made.append(...cells);
    return made;
  }

  function heading(content, scope) {
    const made = make("th");
    made.scope = scope;
    made.append(content);
    return made;
  }

  function table(className, caption, head, rows) {
    const made = make("table", className);
    made.append(make("caption", "", caption), make("thead"), make("tbody"));
    made.tHead.append(row(...head.map((one) => heading(one, "col"))));
    made.tBodies[0].append(...rows);
    return made;
  }

  // The likeliest next tokens, or those for a hidden one, as bars.
  async function guessed(session, logits) {
    const best = guesses(logits);
    const names = await session.shown(best.map(({ id }) => id));
    const made = make("ol", "c-guesses c-live__guesses");
    best.forEach(({ share }, place) => {
      const bar = make("span", "c-bar");
      bar.style.setProperty("--share", share.toFixed(4));
      made.append(make("li"));
      made.lastChild.append(bar, make("code", "", names[place]), make("span", "c-number", percent(share)));
    });
    return made;
  }

  // What the network would say behind the text, or for a token that is hidden from it; nothing of one that says
  // nothing. `fill(place)` resolves to the logits for a hidden token.
  async function answers(session, { ids, tokens }, { logits }, fill) {
    const { answers: kind, mask } = session.descriptor.text;
    if (kind === "next") {
      const said = make("p", "c-prose", "Behind ");
      said.append(make("bdi", "c-word", tokens.at(-1)), ", the last token, it finds most probable:");
      return [make("h3", "", "What it would say next"), said, await guessed(session, logits.data)];
    }
    return kind === "masked" ? hidden(session, tokens, ids.indexOf(mask), fill) : [];
  }

  // A mask that the reader wrote is the hidden token; else the middle one is hidden, until another is chosen.
  async function hidden(session, tokens, written, fill) {
    const pick = make("label", "c-neurons__pick", "Hidden token ");
    const select = pick.appendChild(make("select"));
    tokens.forEach((text, place) => select.append(new Option(`${place}: ${text}`, place)));
    select.value = String(written < 0 ? Math.floor(tokens.length / 2) : written);
    const list = async () => guessed(session, await fill(Number(select.value)));
    let shown = await list();
    select.addEventListener("change", async () => {
      const [asked, next] = [select.value, await list()];
      if (asked !== select.value) return;
      shown.replaceWith(next);
      shown = next;
    });
    return [make("h3", "", "What it would fill in"), pick, shown];
  }

  const LENS = "At the last token: the likeliest next tokens after each layer, where the model’s final answer stands among all tokens, its probability, and the distance of the guesses from the final ones, KL(final ‖ layer) in nats. Each vector is read as if it were the last one (nostalgebraist 2020). Early layers write for later ones, so that early guesses may mean little.";

  async function lensTable(session, found) {
    if (!found) return [];
    const { layers = [] } = session.descriptor.text;
    const rows = await lens(found.data, found.dims.at(-1));
    const names = await session.shown(rows.flatMap((one) => one.guesses.map(({ id }) => id)));
    const lines = rows.map((one, place) => {
      const cell = make("td", "c-answers");
      for (const { share } of one.guesses) {
        const guess = make("span");
        guess.append(make("code", "", names.shift()), " ", make("span", "c-number", percent(share)));
        cell.append(guess);
      }
      return row(
        heading(place ? title(layers[place - 1], place - 1) : "embedding", "row"), cell,
        ...[one.rank.toLocaleString("en"), percent(one.share), number(one.apart)].map((text) => make("td", "c-number", text)),
      );
    });
    const made = table("c-rows", LENS, ["After", "Guesses", "Rank of the answer", "Its probability", "Distance"], lines);
    return [make("h3", "", "Logit lens"), box("c-table", "Logit lens", made)];
  }

  function title(layer, place) {
    const text = layer?.title ?? `layer ${place}`;
    if (!layer?.page) return text;
    const link = make("a", "", text);
    link.href = layer.page;
    return link;
  }

  // All heads, a row each, in the order that the address asks for: `sort=entropy_nats.down`. What is not defined stands last.
  class Heads {
    constructor(text, rows, columns, control, open) {
      Object.assign(this, { text, rows, columns });
      const head = [["", "Head"], ...columns.map(({ key, name }) => [key, name])].map(([key, name]) => this.sorter(key, name));
      for (const one of rows) one.line = this.line(one, open);
      const caption = "On this text alone; a column’s name puts the heads in its order, a head’s name shows it above. What a head does in general its page tells, from all curated texts.";
      this.element = table("c-rows c-atlas__table", caption, head, rows.map(({ line }) => line));
      if (control) this.element.append(make("tfoot"));
      if (control) this.element.tFoot.append(this.control(control));
      this.sort();
    }

    cells(values) {
      return this.columns.map(({ key }) => make("td", "", number(values[key])));
    }

    line(one, open) {
      const link = make("a", "", one.name);
      const state = new URLSearchParams(location.hash.slice(1));
      state.set("text", this.text);
      state.set("layer", one.layer);
      state.set("head", one.head);
      link.href = `#${state}`;
      link.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return; // another tab
        event.preventDefault();
        open(one);
      });
      return row(heading(link, "row"), ...this.cells(one.values));
    }

    control(values) {
      const made = row(heading("Even spread", "row"), ...this.cells(values));
      made.className = "c-control";
      return made;
    }

    sorter(key, name) {
      const button = make("button", "", name);
      button.type = "button";
      button.addEventListener("click", () => {
        const [now, way] = this.asked();
        writeState({ sort: !key || (now === key && way === "up") ? null : `${key}.${now === key ? "up" : "down"}` }, false);
        this.sort();
      });
      return button;
    }

    asked() {
      return (new URLSearchParams(location.hash.slice(1)).get("sort") ?? "").split(".");
    }

    sort() {
      const [asked, way] = this.asked();
      const place = this.columns.findIndex(({ key }) => key === asked);
      const order = [...this.rows];
      const sign = way === "up" ? 1 : -1;
      const value = (one) => (Number.isFinite(one.values[asked]) ? sign * one.values[asked] : Infinity);
      if (place >= 0) order.sort((a, b) => (value(a) === value(b) ? 0 : value(a) - value(b)));
      Array.from(this.element.tHead.rows[0].cells).forEach((cell, at) => {
        if (place >= 0 && at === place + 1) cell.setAttribute("aria-sort", way === "up" ? "ascending" : "descending");
        else cell.removeAttribute("aria-sort");
      });
      this.element.tBodies[0].append(...order.map(({ line }) => line));
    }
  }

  function heads(text, rows, columns, control, open) {
    const made = new Heads(text, rows, columns, control, open);
    const how = make("details", "c-evidence");
    how.append(make("summary", "", "How they are computed"), make("ul"));
    for (const { name, words } of columns) how.lastChild.append(make("li", "", `${name}: ${words}.`));
    const more = " A[i, j] is the weight from query i to key j; rows sum to 1. “Even spread” is a head that looks at all visible keys alike.";
    how.append(make("p", "", more.trim()));
    return [box("c-table c-table--atlas", "Heads in numbers", made.element), how];
  }

  return { answers, lensTable, heads };
})();
