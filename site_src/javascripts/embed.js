// What makes a component stand in a frame of another page. There it says how high it is, follows the palette
// around it and keeps its state to itself. A file of its own holds nothing else; of a page of the site
// (`?embed=maps`) all but the component goes.
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search);
  const name = root.dataset.alone ?? asked.get("embed");
  const HOSTS = ".c-attention, .c-atlas, .c-blocks, .c-patches-play, .c-sheet, .c-choose";

  // The component that a control stands beside: the one in the tab that is open, where it stands among tabs.
  globalThis.cutawayShownBy = (control) => {
    const open = control.closest(".c-tabs")?.querySelector(":scope > :checked + .c-tabs__label + .c-tabs__panel")
      ?? control.closest(".c-widget") ?? control.previousElementSibling;
    return open.matches(HOSTS) ? open : open.querySelector(HOSTS) ?? open;
  };

  // The element that frames this page, where the page around it may be looked at.
  const frame = () => {
    try {
      return globalThis.frameElement;
    } catch {
      return null;
    }
  };

  // Whether a colour, written in any way, is dark; null of one that lets through what is behind it.
  function isDark(colour) {
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return alpha < 128 ? null : 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }

  // The palette that is asked for, else that of the page around, else the system's.
  const system = matchMedia("(prefers-color-scheme: dark)");
  function wantsDark() {
    if (asked.has("palette")) return asked.get("palette") === "dark";
    for (let node = frame(); node; node = node.parentElement) {
      const dark = isDark(parent.getComputedStyle(node).backgroundColor);
      if (dark !== null) return dark;
    }
    return system.matches;
  }

  function follow() {
    const scheme = wantsDark() ? "slate" : "default";
    if (document.body.dataset.mdColorScheme !== scheme) document.body.dataset.mdColorScheme = scheme;
  }

  function followAll() {
    follow();
    system.addEventListener("change", follow);
    // The scripts of a page set its own palette.
    new MutationObserver(follow).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
    if (!frame()) return;
    const around = new parent.MutationObserver(follow);
    for (const node of [parent.document.documentElement, parent.document.body]) around.observe(node, { attributes: true });
  }

  // The page around hears how high this one is; a frame in a notebook is made as high at once.
  function tell(last) {
    const below = parseFloat(getComputedStyle(document.body).paddingBottom);
    const height = Math.ceil(last.getBoundingClientRect().bottom + scrollY + below);
    if (parent !== globalThis) parent.postMessage({ cutaway: name, height }, "*");
    if (frame()?.hasAttribute("data-cutaway")) frame().style.height = `${height}px`;
  }

  // What is chosen here must be no step of the page around; and a frame without an address has only a hash.
  function keepToItself() {
    const replace = history.replaceState.bind(history);
    history.pushState = history.replaceState = (state, title, url) => {
      const hash = String(url).split("#")[1] ?? "";
      if (location.protocol === "about:") location.replace(`about:srcdoc#${hash}`);
      else replace(state, title, `#${hash}`);
    };
  }

  // Of a page of the site: the component, what it stands in, and nothing else.
  function leaveAlone(host) {
    for (let node = host; node !== document.body; node = node.parentElement) {
      if (node !== host) node.dataset.around = "";
      for (const other of node.parentElement.children) {
        if (other !== node && !other.matches("script, style, link, .c-pop")) other.dataset.aside = "";
      }
    }
    const title = document.createElement("h1");
    title.className = "c-alone__title";
    title.textContent = document.querySelector("h1").textContent;
    host.before(title);
    const source = document.createElement("p");
    source.className = "c-alone__source";
    const link = Object.assign(document.createElement("a"), { textContent: title.textContent });
    const page = new URL(location);
    page.searchParams.delete("embed");
    page.searchParams.delete("palette");
    link.href = page;
    const control = document.querySelector(`.c-embed[data-name="${CSS.escape(name)}"]`);
    source.append(link, `, ${control.dataset.of}. Made with Cutaway.`);
    host.after(source);
    document.head.append(Object.assign(document.createElement("base"), { target: "_blank" }));
  }

  function standAlone() {
    const control = document.querySelector(`.c-embed[data-name="${CSS.escape(name)}"]`);
    const host = root.dataset.alone ? document.querySelector("main") : control && cutawayShownBy(control);
    if (host && !root.dataset.alone) leaveAlone(host);
    root.dataset.ready = "";
    if (!host) return; // no such component: the whole page
    if (!root.dataset.alone) followAll();
    const last = root.dataset.alone ? host : host.nextElementSibling;
    const watch = new ResizeObserver(() => tell(last));
    for (const node of new Set([host, last])) watch.observe(node);
    addEventListener("load", () => tell(last));
  }

  if (!name) return;
  root.dataset.embed = "";
  keepToItself();
  if (document.body) followAll(); // of a file alone before it is drawn
  addEventListener("DOMContentLoaded", standAlone);
})();
