// Of a site that changes: load the page anew when it does, and say what is wrong, or still being made.
(() => {
  let seen = Number(document.currentScript.dataset.version);
  const box = (id, role, style) => {
    const made = document.createElement("pre");
    made.id = id;
    made.setAttribute("role", role);
    made.style.cssText =
      "position:fixed;inset:auto 0 0;z-index:99;margin:0;overflow:auto;white-space:pre-wrap;color:#fff;" + style;
    return (text) => {
      if (made.textContent !== text) made.textContent = text;
      if (!text) made.remove();
      else if (!made.isConnected) document.body.append(made);
    };
  };
  const wrong = box("c-mistake", "alert",
    "padding:1rem 1.5rem;max-height:50vh;font:14px/1.5 monospace;background:#7a1620");
  const grows = box("c-making", "status", "padding:.4rem 1.5rem;font:13px/1.5 sans-serif;background:#1d3d5c");
  new EventSource("/__changes").onmessage = (event) => {
    const { version, mistake, making } = JSON.parse(event.data);
    if (seen !== version && !mistake) return location.reload();
    seen = version;
    wrong(mistake);
    grows(making);
  };
})();
