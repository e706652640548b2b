// Sets the equations of a page with KaTeX, which is fetched when the page itself is there. Without a script
// they stay as they were written, in TeX.
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
    if (next < nodes.length) setTimeout(setAll, 0, nodes, next);
    else reach(nodes.filter(({ tagName }) => tagName === "DIV"));
  }

  function load() {
    // Not before the page is there: the sheet is asked for as one for paper, which holds nothing up.
    document.querySelector("link[data-equations]").media = "all";
    const script = document.createElement("script");
    script.src = library;
    script.onload = () => setAll([...document.querySelectorAll(".arithmatex")]);
    document.head.append(script);
  }

  if (document.readyState === "complete") load();
  else addEventListener("load", load);
})();
