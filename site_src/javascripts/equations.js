// Sets the equations of a page with KaTeX, which is fetched when the page itself is there and an equation is
// near, or the reader does anything at all. Without a script they stay as they were written, in TeX.
(() => {
  const library = document.currentScript.dataset.katex;
  const SLICE = 6; // milliseconds

  function set(node) {
    const tex = node.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, "");
    katex.render(tex, node, { displayMode: node.tagName === "DIV", throwOnError: false });
    node.dataset.set = "";
  }

  // What scrolls sideways must be within reach of the keyboard.
  function reach(blocks) {
    for (const node of blocks.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)) {
      node.tabIndex = 0;
      node.setAttribute("role", "group");
      node.setAttribute("aria-label", "Equation, scrolls sideways");
    }
  }

  // A few at a time, so that the page answers its reader in between.
  function setAll(nodes, from = 0) {
    const until = performance.now() + SLICE;
    let next = from;
    while (next < nodes.length && performance.now() < until) set(nodes[next++]);
    reach(nodes.slice(from, next).filter(({ tagName }) => tagName === "DIV"));
    if (next < nodes.length) setTimeout(setAll, 0, nodes, next);
  }

  function load() {
    // Not before the page is there: the sheet is asked for as one for paper, which holds nothing up.
    document.querySelector("link[data-equations]").media = "all";
    const script = document.createElement("script");
    script.src = library;
    script.onload = () => setAll([...document.querySelectorAll(".arithmatex")]);
    document.head.append(script);
  }

  const SIGNS = ["scroll", "pointermove", "pointerdown", "touchstart", "keydown", "beforeprint"];

  function wait() {
    const once = () => {
      near.disconnect();
      for (const sign of SIGNS) removeEventListener(sign, once);
      load();
    };
    const near = new IntersectionObserver((seen) => {
      if (seen.some(({ isIntersecting }) => isIntersecting)) once();
    }, { rootMargin: "1500px" });
    for (const sign of SIGNS) addEventListener(sign, once, { passive: true });
    for (const node of document.querySelectorAll(".arithmatex")) near.observe(node);
  }

  if (document.readyState === "complete") wait();
  else addEventListener("load", wait);
})();
