// “Try your own” for a network that takes pictures: a picture of the reader's becomes what the network sees, is run
// in this browser (live.js), and is shown: classes, class activation maps, units, attention over patches. The layer,
// the unit and the class stand in the address; the picture never does.
(() => {
  const { make } = globalThis.cutawayAttention;
  const { see, pixels, plain, greyOf, Choose, Classes, Units, Heads } = globalThis.cutawayPicture;

  // The outputs of the network as the views read them.
  function resultOf(found, { outputs }, seen, how) {
    const layers = new Map();
    for (const { name, role, layer, title, units, height, width } of outputs) {
      if (role === "layer") layers.set(layer, { name: layer, title, units, rows: height, columns: width, data: found[name].data });
    }
    const of = (role) => found[outputs.find((one) => one.role === role)?.name];
    return { layers, logits: of("logits")?.data, attention: of("attention"), grey: greyOf(seen, how.size) };
  }

  // Whether what lies at the edges of a square is rather dark.
  function isDark(seen, side) {
    const rim = Array.from({ length: side }, (_, i) => [i, side * (side - 1) + i, side * i, side * i + side - 1]).flat();
    return rim.reduce((sum, at) => sum + seen[3 * at] + seen[3 * at + 1] + seen[3 * at + 2], 0) / (3 * rim.length) < 128;
  }

  class Page {
    constructor(root, live) {
      Object.assign(this, { live, seen: null, name: "", turn: 0, views: [] });
      this.setup = JSON.parse(root.querySelector("[data-live-setup]").textContent);
      const folder = root.dataset.live.replace(/[^/]*$/, "");
      this.choose = new Choose(live.form, this.setup, folder, {
        take: (picture, name) => this.take(picture, name),
        refuse: (text) => live.fail(text),
        wait: () => live.say("Reading the picture …"),
      });
      this.canvas = make("canvas", "c-live-photo");
      this.canvas.setAttribute("role", "img");
      this.words = make("figcaption");
      this.top = make("div", "c-live-said");
      const figure = make("figure");
      figure.append(this.canvas, this.words);
      this.top.append(figure);
      this.top.hidden = true;
      live.results.append(this.top);
      addEventListener("hashchange", () => this.follow());
    }

    async take(picture, name) {
      const { how } = this.setup;
      this.turn += 1;
      const { turn } = this;
      const seen = await see(picture.width, picture.height, how, (...part) => picture.read(...part));
      if (turn !== this.turn) return;
      Object.assign(this, { seen, name, drawn: picture.drawn });
      plain(this.canvas, seen, how.size);
      this.canvas.classList.toggle("pixelated", how.size < 100);
      this.canvas.setAttribute("aria-label", `What the network sees of ${name}.`);
      const cut = picture.width === picture.height ? "" : how.fit === "squeeze" ? ", squeezed into a square" : ", its centre";
      this.words.replaceChildren(make("strong", "", name), make("br"), `${picture.width} × ${picture.height} pixels, as the network sees them: ${how.size} × ${how.size}${cut}.`);
      const { draw, ink } = this.setup;
      if (draw && isDark(seen, how.size) !== (ink === "light on dark")) picture.notes.add(`It knows ink that is ${ink}, and this is the other way round: it has never seen such a picture.`);
      for (const note of picture.notes) this.words.append(make("br"), note);
      this.top.hidden = false;
      if (this.session) await this.run();
      else this.live.say("This is what the network will see. Load it, and see what it makes of it.");
    }

    // The views, once there is a network.
    begin(session) {
      this.session = session;
      const { picture } = session.descriptor;
      for (const old of [this.says, this.rest]) old?.remove(); // of a session that failed
      const says = make("div", "c-live-said__classes");
      says.append(make("h3", "", "What the network says"));
      this.top.append(says);
      this.rest = make("div");
      this.rest.hidden = true;
      this.says = says;
      const classes = new Classes(says, session);
      classes.below(this.rest);
      this.views = [classes];
      if (picture.patches) this.views.push(new Heads(this.rest, session));
      if (session.descriptor.outputs.some(({ role, height, width }) => role === "layer" && height * width > 1)) this.views.push(new Units(this.rest, session));
      this.live.results.append(this.rest);
    }

    follow() {
      for (const view of this.views) (view.follow ?? view.draw).call(view);
    }

    // One picture after the other: what was given while the network ran is run next, and nothing between.
    async run() {
      if (this.running) {
        this.again = true;
        return;
      }
      this.running = true;
      try {
        do {
          this.again = false;
          await this.once();
        } while (this.again);
      } catch (error) {
        this.live.failed(error, "when the network ran");
        this.live.restart();
        this.session = null;
      } finally {
        this.running = false;
      }
    }

    async once() {
      const { seen, setup: { how }, session } = this;
      const { input } = session.descriptor;
      this.live.say("Computing …");
      const started = performance.now();
      const found = await session.run({ [input.name]: { type: "float32", data: pixels(seen, how), dims: [1, 3, how.size, how.size] } });
      const took = performance.now() - started;
      const result = { ...resultOf(found, session.descriptor, seen, how), photo: this.canvas.toDataURL() };
      this.rest.hidden = false;
      for (const view of this.views) await view.show(result);
      // On a phone what it says is below the screen; who draws goes on drawing.
      if (!this.drawn && this.top.getBoundingClientRect().top > innerHeight - 60) this.top.scrollIntoView();
      this.live.say(`Computed here in ${(took / 1000).toFixed(2)} s. Your picture did not leave this browser.`);
    }
  }

  let page = null;
  globalThis.cutawayLive.kinds.picture = {
    again: "",
    start(root, live) {
      page = new Page(root, live);
    },
    async ready(session, live) {
      page.begin(session);
      if (page.seen) await page.run();
      else live.say("The network is ready. Give it a picture.");
    },
  };
})();
