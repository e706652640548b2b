// Two frames with the same page of two models. Each page says what it shows (beside-frame.js); this tells the
// other. What both show stands in the address: #layers/3/heads/1/#text=rain, the path below a model's folder and
// behind a second # the page's own state.
(() => {
  const GRACE = 500; // ms that a page that is there has to say so once it is loaded
  const LONGEST = 4000; // characters of a state
  const sides = [...document.querySelectorAll(".c-beside__side")].map((element) => ({
    element,
    folder: new URL(".", new URL(element.dataset.target, location)),
    frame: element.querySelector("iframe"),
    link: element.querySelector("a"),
    missing: element.querySelector(".c-beside__missing"),
    wanted: null, // the path that was asked for, and the one that the page there says it has
    shows: null,
  }));

  // The address of a page below a model's folder; null of anything else.
  function address({ folder }, path, state) {
    if (!/^(|[^/\\?#][^\\?#]*(\/|\.html))$/.test(path) || /%(2f|5c)/i.test(path)) return null;
    const url = new URL(folder.href + path + (path === "" || path.endsWith("/") ? "index.html" : ""));
    if (!url.href.startsWith(folder.href)) return null; // steps upwards are gone by now
    url.hash = state;
    return url;
  }

  // The path of a page below a model's folder; null of one that stands elsewhere.
  function pathOf({ folder }, href) {
    if (!href.startsWith(folder.href)) return null;
    return href.slice(folder.href.length).replace(/(^|\/)index\.html$/, "$1");
  }

  // A path and a state as the address of this page has them.
  function asked() {
    const [path, ...state] = location.hash.slice(1).split("#");
    return { path, state: state.join("#").slice(0, LONGEST) };
  }

  function write(path, state) {
    const hash = `#${path}${state ? `#${state}` : ""}`;
    if (hash === (location.hash || "#")) return;
    try {
      history.replaceState(null, "", hash);
    } catch {
      // A browser that allows no more of it for now.
    }
  }

  function open(side, path, state) {
    const url = address(side, path, state) ?? address(side, (path = ""), "");
    side.wanted = path;
    side.link.href = url;
    if (side.shows === path) {
      side.frame.contentWindow.postMessage({ cutaway: "beside", state }, "*");
      return;
    }
    side.shows = null;
    side.frame.contentWindow.location.replace(url); // no step of its own to go back
  }

  function note(side, text) {
    side.missing.textContent = text;
    side.element.toggleAttribute("data-missing", Boolean(text));
  }

  // A page that one model lacks says nothing.
  function check(side) {
    const { wanted } = side;
    setTimeout(() => {
      if (side.wanted !== wanted || side.shows === wanted || wanted === null) return;
      note(side, `${side.link.textContent} has no page “${decodeURI(wanted)}”.`);
    }, GRACE);
  }

  // A page was opened: its own doing where nobody asked for it here, and then the other follows.
  function arrived(side, other, { page, state }) {
    const path = pathOf(side, page);
    if (path === null || address(side, path, "") === null) return;
    const followed = side.wanted === path;
    side.shows = side.wanted = path;
    side.link.href = address(side, path, state);
    note(side, "");
    dye(side);
    if (followed) return;
    write(path, state);
    note(other, "");
    open(other, path, state);
  }

  function moved(side, other, { state, scroll }) {
    if (state !== null) {
      side.link.href = address(side, side.shows, state);
      write(side.shows, state);
    }
    if (other.shows !== side.shows) return;
    if (state !== null) other.link.href = address(other, other.shows, state);
    other.frame.contentWindow.postMessage({ cutaway: "beside", state, scroll }, "*");
  }

  // Frames have the palette of the page around them.
  function dye(side) {
    side.frame.contentWindow.postMessage({ cutaway: "beside", palette: document.body.dataset.mdColorScheme }, "*");
  }

  // Only what was checked goes on to the other page.
  const text = (value) => (typeof value === "string" && value.length <= LONGEST ? value : null);
  const place = (value) => (value && typeof value.anchor === "string" && [value.share, value.whole].every(Number.isFinite)
    ? { anchor: value.anchor.slice(0, 200), share: value.share, whole: value.whole } : null);

  addEventListener("message", ({ source, data }) => {
    const number = sides.findIndex(({ frame }) => frame.contentWindow === source);
    if (number < 0 || data?.cutaway !== "beside") return;
    const [side, other] = [sides[number], sides[1 - number]];
    const state = text(data.state);
    if (typeof data.page === "string") arrived(side, other, { page: data.page, state: state ?? "" });
    else if (side.shows !== null) moved(side, other, { state, scroll: place(data.scroll) });
  });

  const openBoth = () => {
    const { path, state } = asked();
    for (const side of sides) {
      note(side, "");
      open(side, path, state);
    }
  };
  for (const side of sides) side.frame.addEventListener("load", () => check(side));
  new MutationObserver(() => sides.forEach(dye)).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  addEventListener("hashchange", openBoth);
  openBoth();
})();
