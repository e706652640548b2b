// The jump box: type a layer, a head, a unit, a class, a picture or a statistic, and go to its page.
// Its index is a script, loaded when the box is first opened; it works from disk as well.
(() => {
  const base = new URL("..", document.currentScript.src);
  // In a frame of a page with two of them, what this page shows is told to it.
  if (parent !== self && name.startsWith("cutaway-beside-")) {
    document.head.append(Object.assign(document.createElement("script"), { src: new URL("javascripts/beside-frame.js", base) }));
  }
  const MOST = 14;
  let box, index, shown = [], active = 0;

  // What there is to find: kind, text, note, model and address, with the words to match in lower case.
  const place = (path) => path.replace(/^([^#]*)/, "$1index.html");
  const row = (kind, text, note, model, path, also = "") => ({
    kind, text, note, model: model?.title ?? "",
    href: new URL(place((model ? `models/${model.id}/` : "") + path), base).href,
    name: text.toLowerCase(),
    rest: `${note} ${also} ${kind} ${model ? `${model.title} ${model.id}` : ""}`.toLowerCase(),
  });
  const unit = (model, layer, number, note = "", also = "", kind = "unit") =>
    row(kind, `${model.layers[layer][0]} unit ${number}`, note, model,
      `layers/${model.layers[layer][0]}/units/${number}/`, also);
  const head = (model, layer, number) =>
    row("head", `L${layer}H${number}`, "attention head", model, `layers/${layer}/heads/${number}/`);

  function* everything({ models, written }) {
    for (const entry of written) yield row(entry[0], entry[1], entry[2], null, entry[3]);
    for (const model of models) {
      for (const [kind, text, note, path, also] of model.rows) yield row(kind, text, note, model, path, also);
      if (typeof model.layers === "number") {
        for (let i = 0; i < model.layers; i++) {
          yield row("layer", `L${i}`, `layer ${i}, ${model.heads} heads`, model, `layers/${i}/`);
        }
        continue;
      }
      for (const [name, units] of model.layers) {
        yield row("layer", name, units ? `${units} units` : "", model, `layers/${name}/`);
      }
      for (const { kind, note, items } of model.named) {
        for (const [label, ...pairs] of items) {
          for (let i = 0; i < pairs.length; i += 2) {
            const found = unit(model, pairs[i], pairs[i + 1], note, "", kind);
            yield { ...found, text: `${label}: ${found.text}`, name: label.toLowerCase() };
          }
        }
      }
    }
  }

  // Whether two words are one edit apart: a letter missing, added, wrong, or two letters swapped.
  function near(one, other) {
    if (Math.abs(one.length - other.length) > 1) return false;
    let start = 0;
    while (start < one.length && one[start] === other[start]) start++;
    const a = one.slice(start), b = other.slice(start);
    return a.slice(1) === b.slice(1) || a.slice(1) === b || a === b.slice(1)
      || (a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2));
  }

  function match(word, text) {
    if (text === word) return 100;
    if (text.startsWith(word)) return 60;
    const at = text.indexOf(word);
    if (at > 0) return /[a-z0-9]/.test(text[at - 1]) ? 25 : 50;
    if (word.length < 4) return 0;
    const digits = (some) => some.replace(/\D/g, ""); // a wrong number is another thing
    const like = (other) => digits(word) === digits(other) && near(word, other);
    const about = (other) => [undefined, word.length + 1, word.length].some((end) => like(other.slice(0, end)));
    return text.split(/[^a-z0-9.]+/).some((other) => other.length > 2 && about(other)) ? 15 : 0;
  }

  function score(words, query, entry) {
    let sum = entry.name === query ? 300 : 0;
    for (const word of words) {
      const best = Math.max(3 * match(word, entry.name), match(word, entry.rest));
      if (!best) return 0;
      sum += best;
    }
    return sum - entry.text.length / 100;
  }

  const fits = (words, text) => words.every((word) => match(word, text.toLowerCase()));

  // Heads and units are not in the list: their names are read.
  function* read(query) {
    const asked = /(?:^|\s)l(?:ayer)?\s*(\d+)\s*(?:h(?:ead)?\s*(\d+))?(?=\s|$)/i.exec(query);
    if (asked) {
      const others = query.replace(asked[0], " ").toLowerCase().split(/\s+/).filter(Boolean);
      for (const model of index.models) {
        if (!(asked[1] < model.layers) || !fits(others, `${model.title} ${model.id}`)) continue;
        if (asked[2] === undefined) continue; // layers are in the list
        if (+asked[2] < model.heads) yield head(model, +asked[1], +asked[2]);
      }
    }
    const numbered = /^(.*?)(?:\s|\bunit|\bchannel|#)+\s*(\d+)$/i.exec(query);
    if (!numbered) return;
    const here = /\/layers\/([^/]+)\//.exec(location.pathname)?.[1];
    const said = numbered[1].toLowerCase().split(/\s+/).filter((word) => word && !/^(unit|channel)$/.test(word));
    for (const model of index.models) {
      if (typeof model.layers === "number") continue;
      for (const [layer, [name, units]] of model.layers.entries()) {
        const named = said.length ? fits(said, `${name} ${model.title} ${model.id}`) && said.some((word) => match(word, name))
          : name === here && location.pathname.includes(`/models/${model.id}/`);
        if (named && +numbered[2] < units) {
          yield { ...unit(model, layer, +numbered[2]), exact: said.includes(name) || !said.length };
        }
      }
    }
  }

  function find(text) {
    const query = text.trim().toLowerCase().replace(/\s+/g, " ");
    if (!query) return [];
    const words = query.split(" ");
    // What leads in a statistic says so.
    const noted = (entry) => index.entries.find(({ href, kind }) => kind === "head" && href === entry.href) ?? entry;
    const direct = [...read(query)].sort((a, b) => (b.exact ?? 0) - (a.exact ?? 0)).map(noted);
    const scored = index.entries
      .map((entry) => [score(words, query, entry), entry])
      .filter(([points]) => points > 0)
      .sort(([a], [b]) => b - a)
      .map(([, entry]) => entry);
    const seen = new Set();
    return [...direct, ...scored].filter(({ href, name }) => {
      const key = `${name} ${href}`;
      return !seen.has(key) && seen.add(key);
    });
  }

  const make = (tag, properties, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  // Where the words of pages can be searched, the last thing to choose does that.
  function searched(text) {
    if (!text || !document.querySelector(".c-jump-open[data-search]")) return [];
    const href = new URL(`index.html?q=${encodeURIComponent(text)}`, base).href;
    return [{ kind: "search", text: `“${text}”`, note: "in the text of all pages", model: "", href }];
  }

  function draw() {
    const asked = box.input.value.trim();
    const found = find(asked);
    shown = [...found.slice(0, MOST), ...searched(asked)];
    box.list.hidden = !shown.length;
    box.list.replaceChildren(...shown.map((entry, i) => {
      const option = make("a", { href: entry.href, id: `c-jump-${i}`, tabIndex: -1, className: "c-jump__option" },
        make("span", { className: "c-jump__kind", textContent: entry.kind }),
        make("span", { className: "c-jump__text" }, entry.text, make("small", { textContent: entry.note })),
        make("span", { className: "c-jump__model", textContent: entry.model }));
      option.setAttribute("role", "option");
      return option;
    }));
    box.input.setAttribute("aria-expanded", String(shown.length > 0));
    box.status.textContent = !asked ? `Try ${index.hints.join(", ")}.`
      : !found.length ? "Nothing on this site is called that."
        : found.length > MOST ? `The first ${MOST} of ${found.length}.` : `${found.length} found.`;
    point(0);
  }

  function point(to) {
    active = shown.length ? (to + shown.length) % shown.length : -1;
    for (const [i, option] of [...box.list.children].entries()) {
      option.setAttribute("aria-selected", String(i === active));
    }
    if (active < 0) box.input.removeAttribute("aria-activedescendant");
    else {
      box.input.setAttribute("aria-activedescendant", `c-jump-${active}`);
      box.list.children[active].scrollIntoView({ block: "nearest" });
    }
  }

  function build() {
    const input = make("input", { type: "text", className: "c-jump__input", autocomplete: "off", spellcheck: false,
      autocapitalize: "off", enterKeyHint: "go", placeholder: "Layer, head, unit, class, picture, statistic" });
    for (const [name, value] of Object.entries({ role: "combobox", "aria-label": "Jump to",
      "aria-autocomplete": "list", "aria-controls": "c-jump-list", "aria-expanded": "false" })) {
      input.setAttribute(name, value);
    }
    const list = make("div", { id: "c-jump-list", className: "c-jump__list", hidden: true });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Pages");
    const status = make("p", { className: "c-jump__status", textContent: "Loading the index …" });
    status.setAttribute("role", "status");
    const close = make("button", { type: "button", className: "c-jump__close", textContent: "Close" });
    const keys = make("input", { type: "checkbox", checked: listening() });
    const foot = make("p", { className: "c-jump__foot" },
      make("span", { textContent: "↑ ↓ choose, Enter opens, Esc closes" }),
      make("label", {}, keys, " the key J opens this box"));
    const dialog = make("dialog", { className: "c-jump" }, make("div", { className: "c-jump__top" }, input, close), status, list, foot);
    dialog.setAttribute("aria-label", "Jump to a page");
    close.addEventListener("click", () => dialog.close());
    keys.addEventListener("change", () => listen(keys.checked));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("a")) dialog.close();
    });
    input.addEventListener("input", () => index && draw());
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "ArrowDown") point(active + 1);
      else if (event.key === "ArrowUp") point(active - 1);
      else if (event.key === "Enter" && shown[active]) box.list.children[active].click();
      else return;
      event.preventDefault();
    });
    document.body.append(dialog);
    return { dialog, input, list, status };
  }

  function load() {
    const script = make("script", { src: new URL("javascripts/jump-index.js", base).href });
    script.addEventListener("load", () => {
      index = globalThis.cutawayJump;
      index.entries = [...everything(index)];
      draw();
    });
    script.addEventListener("error", () => { box.status.textContent = "The index could not be loaded."; });
    document.head.append(script);
  }

  function open() {
    if (!box) {
      box = build();
      load();
    }
    if (!box.dialog.open) box.dialog.showModal();
    box.input.select();
  }

  // A key of one letter can be switched off: it gets in the way of speech input (WCAG 2.1.4).
  function listening() {
    try { return localStorage.getItem("cutaway.jump-key") !== "off"; } catch { return true; }
  }
  function listen(on) {
    try { localStorage.setItem("cutaway.jump-key", on ? "on" : "off"); } catch { /* for this page only */ }
  }

  addEventListener("keydown", (event) => {
    if (event.key !== "j" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // Just after it was closed the box may still be what keys go to.
    const typed = "input:not([type=radio], [type=checkbox]), textarea, select, dialog, [contenteditable]";
    if (event.target.closest?.(typed) && !event.target.closest("dialog:not([open])")) return;
    if (!listening()) return;
    event.preventDefault();
    open();
  });
  for (const button of document.querySelectorAll(".c-jump-open")) {
    button.hidden = false;
    button.title = "Jump to a page (key J)";
    button.setAttribute("aria-keyshortcuts", "j");
    button.addEventListener("click", open);
  }
})();
