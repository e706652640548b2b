// Terms, citations, footnotes and links into a model open beside themselves: on hover, on focus and at a first
// tap. Escape, a press elsewhere or going away closes them. Without a script they are plain links.
// What the terms mean is a script of its own, loaded when the first of them is opened; it works from disk as well.
(() => {
  const LINKS = ".c-term, .c-cite, .footnote-ref, .c-inside[data-picture], .c-inside[data-note]";
  const SLOW = 150; // milliseconds a pointer rests before anything opens, or is gone before it closes
  const pop = document.createElement("div");
  pop.className = "c-pop";
  pop.id = "c-pop";
  pop.setAttribute("role", "tooltip");
  pop.hidden = true;
  document.querySelector(".cutaway").append(pop);
  let owner = null;
  let wanted = null; // the term to open once it is known what terms mean
  let timer = 0;
  let pointer = "mouse";

  const part = (name, text) => Object.assign(document.createElement(name), { textContent: text });

  // The text of a list item of the bibliography or the footnotes, without its ways back.
  function entry(id) {
    const item = document.getElementById(decodeURIComponent(id));
    if (!item) return [];
    const copy = item.cloneNode(true);
    for (const node of copy.querySelectorAll(".footnote-backref, details")) node.remove();
    for (const node of copy.querySelectorAll("[id]")) node.removeAttribute("id");
    const block = document.createElement("div");
    block.append(...copy.childNodes);
    return [block];
  }

  function preview(link) {
    const parts = [];
    if (link.dataset.picture) {
      const picture = new Image();
      picture.src = link.dataset.picture;
      picture.alt = "";
      picture.className = "ink" in link.dataset ? "ink" : "";
      parts.push(picture);
    }
    if (link.dataset.note) parts.push(part("p", link.dataset.note));
    return parts;
  }

  function meaning(link) {
    const [name, text] = globalThis.cutawayTerms[link.hash.slice(1)] ?? [];
    return text ? [part("strong", name), part("p", text)] : [];
  }

  let asked;
  function terms(link) {
    asked ??= new Promise((then) => {
      const script = document.createElement("script");
      script.src = new URL("terms.js", link.href);
      script.onload = then;
      document.head.append(script);
    });
    return asked;
  }

  function content(link) {
    if (link.matches(".c-term")) return meaning(link);
    if (link.matches(".c-inside")) return preview(link);
    const ids = link.dataset.cite ? link.dataset.cite.split(" ").map((key) => `ref-${key}`) : [link.hash.slice(1)];
    return ids.flatMap(entry);
  }

  function place(link) {
    const frame = pop.offsetParent.getBoundingClientRect();
    const line = link.getClientRects()[0];
    const wide = document.documentElement.clientWidth;
    const left = Math.min(Math.max(8, line.left - 16), wide - pop.offsetWidth - 8);
    const below = line.bottom + 6;
    const fits = below + pop.offsetHeight < innerHeight || line.top - 6 - pop.offsetHeight < 0;
    pop.style.left = `${left - frame.left}px`;
    pop.style.top = `${(fits ? below : line.top - 6 - pop.offsetHeight) - frame.top}px`;
  }

  function open(link) {
    if (owner === link) return;
    close();
    if (link.matches(".c-term") && !globalThis.cutawayTerms) {
      wanted = link;
      terms(link).then(() => wanted === link && open(link));
      return;
    }
    const parts = content(link);
    if (!parts.length) return;
    pop.replaceChildren(...parts);
    if (pointer === "touch") {
      const go = part("a", link.matches(".c-inside") ? "Open its page" : link.matches(".c-term") ? "In the glossary" : "Go there");
      go.href = link.href;
      go.className = "c-pop__go";
      go.addEventListener("click", () => close());
      pop.append(go);
    }
    pop.hidden = false;
    owner = link;
    owner.setAttribute("aria-describedby", pop.id);
    place(link);
    for (const picture of pop.querySelectorAll("img")) picture.addEventListener("load", () => owner === link && place(link));
  }

  function close() {
    clearTimeout(timer);
    owner?.removeAttribute("aria-describedby");
    owner = wanted = null;
    pop.hidden = true;
  }

  const later = (what) => {
    clearTimeout(timer);
    timer = setTimeout(what, SLOW);
  };

  const linkOf = (event) => event.target.closest?.(LINKS);

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    pointer = event.pointerType;
    const link = linkOf(event);
    if (link) later(() => open(link));
    else if (pop.contains(event.target)) clearTimeout(timer);
    else if (owner && document.activeElement !== owner) later(close);
    else if (!owner) clearTimeout(timer);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkOf(event);
    if (link?.matches(":focus-visible")) open(link);
    else if (!pop.contains(event.target)) close();
  });
  document.addEventListener("focusout", (event) => {
    if (event.target === owner && pointer !== "touch") later(close);
  });
  document.addEventListener("pointerdown", (event) => {
    pointer = event.pointerType;
    if (owner && !pop.contains(event.target) && linkOf(event) !== owner) close();
  });
  document.addEventListener("keydown", (event) => {
    pointer = "keyboard";
    if (event.key === "Escape" && owner) close();
  });
  document.addEventListener("click", (event) => {
    const link = linkOf(event);
    if (!link || pointer !== "touch") return;
    if (owner === link) {
      close(); // the second tap follows it
      return;
    }
    event.preventDefault();
    open(link);
  });
})();
