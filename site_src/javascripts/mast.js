// What stands above and below thousands of pages, held once: sections, palette and jump box, and the footer.
// A page without a script has its name and its way up.
(() => {
  const own = document.currentScript;
  const root = new URL("..", own.src);
  const { sections, searched, copyright } = {/* of the site */};
  const at = (path) => new URL(path, root).href;
  const items = sections.map(([text, path]) => `<li><a href="${at(path)}">${text}</a></li>`);
  own.insertAdjacentHTML("afterend", `<nav aria-label="Sections"><ul class="c-sections">${items.join("")}</ul></nav>
    <div class="c-mast__tools"><button type="button" class="c-top__palette" hidden title="Switch palette">Switch palette</button>
    <button type="button" class="c-jump-open" hidden${searched ? " data-search" : ""}>Jump<span> ${searched ? "or search" : "to …"}</span></button></div>`);
  addEventListener("DOMContentLoaded", () => document.querySelector("main").insertAdjacentHTML("afterend",
    `<footer class="c-footer"><div class="md-grid">${copyright ? `<p>${copyright}</p>` : ""}<p>Made with Cutaway: every figure and number was measured on the models themselves. See <a href="${at("manifest.json")}">manifest.json</a>.</p></div></footer>`));
})();
