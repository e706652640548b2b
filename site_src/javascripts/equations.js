// Sets the equations of a page with KaTeX. Without a script they stay as they were written, in TeX.
(() => {
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
  for (const node of document.querySelectorAll(".arithmatex")) set(node);
})();
