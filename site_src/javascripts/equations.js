// Sets the equations of a page with KaTeX, which is fetched when the page itself is there. Without a script
// they stay as they were written, in TeX.
(() => {
  const library = document.currentScript.dataset.katex;

  function set(node) {
    const block = node.tagName === "DIV";
    const tex = node.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, "");
    katex.render(tex, node, { displayMode: block, throwOnError: false });
    node.dataset.set = "";
    // What scrolls sideways must be within reach of the keyboard.
    if (block && node.scrollWidth > node.clientWidth) {
      node.tabIndex = 0;
      node.setAttribute("role", "group");
      node.setAttribute("aria-label", "Equation, scrolls sideways");
    }
  }

  function load() {
    // Not before the page is there: the sheet is asked for as one for paper, which holds nothing up.
    document.querySelector("link[data-equations]").media = "all";
    const script = document.createElement("script");
    script.src = library;
    script.onload = () => { for (const node of document.querySelectorAll(".arithmatex")) set(node); };
    document.head.append(script);
  }

  if (document.readyState === "complete") load();
  else addEventListener("load", load);
})();
