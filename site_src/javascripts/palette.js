// The palette of a lean page: what the reader chose elsewhere on the site, where Material keeps it too, else the
// system's.
(() => {
  const key = `${new URL("..", document.currentScript.src).pathname}.__palette`;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = () => document.querySelector(".c-top__palette");

  function chosen() {
    try {
      return JSON.parse(localStorage.getItem(key))?.color?.scheme;
    } catch {
      return null;
    }
  }

  function show(scheme) {
    document.body.dataset.mdColorScheme = scheme;
  }

  // The faces, asked for before anything is drawn. From a folder browsers refuse to preload.
  for (const face of location.protocol === "file:" ? [] : ["serif-4", "sans-3"]) {
    const href = new URL(`vendor/source-${face}/source-${face}-latin-wght-normal.woff2`, document.currentScript.src);
    const link = { rel: "preload", as: "font", type: "font/woff2", crossOrigin: "", href };
    document.head.append(Object.assign(document.createElement("link"), link));
  }

  show(chosen() ?? (dark.matches ? "slate" : "default"));
  addEventListener("DOMContentLoaded", () => {
    if (!button()) return; // slides
    button().hidden = false;
    button().addEventListener("click", () => {
      const scheme = document.body.dataset.mdColorScheme === "slate" ? "default" : "slate";
      show(scheme);
      const media = `(prefers-color-scheme: ${scheme === "slate" ? "dark" : "light"})`;
      const color = { media, scheme, primary: "custom", accent: "custom" };
      try {
        localStorage.setItem(key, JSON.stringify({ index: scheme === "slate" ? 1 : 0, color }));
      } catch {
        // Storage can be forbidden; the choice then lasts for this page.
      }
    });
  });
})();
