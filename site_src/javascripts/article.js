// What an article does with a script: the contents mark the section that is read, notes in the gutter keep
// clear of each other, entries can be copied, and on paper every answer is there.
(() => {
  const article = document.querySelector(".c-article");
  const beside = matchMedia("(min-width: 76.25em)"); // as in the style sheet

  function follow(contents) {
    const links = new Map();
    for (const link of contents.querySelectorAll("a")) {
      const heading = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (heading) links.set(heading, link);
    }
    const mark = () => {
      let current = null;
      for (const heading of links.keys()) {
        if (heading.getBoundingClientRect().top > innerHeight / 3) break;
        current = heading;
      }
      for (const [heading, link] of links) {
        if (heading === current) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
      const top = current && links.get(current).closest(".c-contents > div > ul > li");
      for (const item of contents.querySelectorAll(".c-here")) if (item !== top) item.classList.remove("c-here");
      top?.classList.add("c-here");
    };
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        mark();
      });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    soon(); // not at once: a long page would be laid out twice
  }

  function clear() {
    const notes = [...article.querySelectorAll(".c-body > :is(.c-aside, .c-layout-gutter)")];
    const wide = [...article.querySelectorAll(".c-body > :is(.c-layout-page, .c-layout-screen)")];
    for (const note of notes) note.style.height = note.style.marginTop = "";
    if (!beside.matches) return; // below the text: nothing to do, and nothing to lay out for it
    let last = -Infinity;
    for (const note of notes) {
      const top = note.getBoundingClientRect().top;
      if (top < last) note.style.marginTop = `${last - top + 12}px`;
      last = note.getBoundingClientRect().top + note.scrollHeight;
      const covered = wide.some((other) => {
        const box = other.getBoundingClientRect();
        return box.top > top - 1 && box.top < last;
      });
      if (covered) note.style.height = "auto";
    }
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      // Not allowed here: select it, for the reader's own hand.
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  const contents = document.querySelector(".c-contents");
  if (contents) follow(contents);
  for (const button of document.querySelectorAll(".c-copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  clear();
  addEventListener("load", clear);
  addEventListener("resize", clear);
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".c-answer:not([open])")];
    for (const answer of opened) answer.open = true;
  });
  addEventListener("afterprint", () => { for (const answer of opened) answer.open = false; });
})();
