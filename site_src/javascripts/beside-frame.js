// In one of two frames beside each other (beside.js): the page says what it is, what was chosen in it and how far
// it is scrolled, and does what the other page was told to. Only the page that its reader is at says anything
// of the last two, so that a message never causes another.
(() => {
  const content = document.querySelector("#c-content[class*='c-page-']");
  if (!content || parent === self) return; // a page that was not found is of no kind
  document.documentElement.dataset.beside = ""; // the page around it has the masthead
  const LINE = 90; // CSS pixels from the top: what stands there is what is read
  const LONGEST = 4000;
  let leads = false, state = location.hash, waiting = false;
  const tell = (what) => parent.postMessage({ cutaway: "beside", ...what }, "*");

  // Where parts of the page begin, down to its end: pages of different length are in step part by part.
  function parts() {
    const found = [...content.querySelectorAll("section[id]")]
      .map((one) => [one.id, one.getBoundingClientRect().top + scrollY]);
    const tops = [["", 0], ...found, [null, document.documentElement.scrollHeight]];
    return tops.slice(0, -1).map(([id, top], n) => ({ id, top, high: Math.max(1, tops[n + 1][1] - top) }));
  }

  const most = () => Math.max(1, document.documentElement.scrollHeight - innerHeight);

  function position() {
    const line = scrollY + LINE;
    const part = parts().filter(({ top }) => top <= line).at(-1);
    return { anchor: part.id, share: (line - part.top) / part.high, whole: scrollY / most() };
  }

  function follow({ anchor, share, whole }) {
    const part = parts().find(({ id }) => id === anchor);
    scrollTo({ top: part ? part.top + share * part.high - LINE : whole * most(), behavior: "instant" });
  }

  function chosen() {
    if (location.hash === state) return;
    state = location.hash;
    if (leads) tell({ state: state.slice(1), scroll: position() });
  }

  function choose(asked, scroll) {
    if (location.hash.slice(1) !== asked) location.replace(`#${asked}`);
    // What is chosen may have scrolled to itself.
    if (scroll) setTimeout(() => { if (!leads) follow(scroll); }, 80);
  }

  for (const name of ["pushState", "replaceState"]) {
    const plain = history[name].bind(history);
    history[name] = (...given) => {
      plain(...given);
      chosen();
    };
  }
  addEventListener("hashchange", chosen);

  for (const sign of ["pointermove", "pointerdown", "wheel", "touchstart", "keydown"]) {
    addEventListener(sign, () => {
      if (!leads) tell({});
      leads = true;
    }, { capture: true, passive: true });
  }

  addEventListener("scroll", () => {
    if (!leads || waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (leads) tell({ scroll: position() });
    });
  }, { passive: true });

  addEventListener("message", ({ source, data }) => {
    if (source !== parent || data?.cutaway !== "beside") return;
    if (["default", "slate"].includes(data.palette)) {
      document.body.dataset.mdColorScheme = data.palette;
      return;
    }
    leads = false;
    if (typeof data.state === "string" && data.state.length <= LONGEST) choose(data.state, data.scroll);
    else if (data.scroll) follow(data.scroll);
  });

  tell({ page: location.href.split(/[?#]/)[0], state: location.hash.slice(1) });
})();
