// Of `cutaway serve --watch` alone: load the page anew when the exhibit changes, and show mistakes in it.
(() => {
  let seen = Number(document.currentScript.dataset.version);
  const box = document.createElement("pre");
  box.id = "c-mistake";
  box.setAttribute("role", "alert");
  box.style.cssText =
    "position:fixed;inset:auto 0 0;z-index:99;margin:0;padding:1rem 1.5rem;max-height:50vh;overflow:auto;" +
    "white-space:pre-wrap;font:14px/1.5 monospace;color:#fff;background:#7a1620";
  new EventSource("/__changes").onmessage = (event) => {
    const { version, mistake } = JSON.parse(event.data);
    if (seen !== version && !mistake) return location.reload();
    seen = version;
    box.textContent = mistake;
    if (mistake) document.body.append(box);
    else box.remove();
  };
})();
