// “Try your own”: the shell that a page of texts and one of pictures share. It loads the network when a reader asks
// for it, opens it in a worker, and hands it as a session to what the page is for (live-text.js, live-picture.js).
// Whatever goes wrong ends as a sentence. Nothing leaves the browser: files of the site come in, nothing goes out.
globalThis.cutawayLive = (() => {
  const MB = 1e6;
  const PATIENCE = 20_000; // ms until a worker that says nothing is given up
  const kinds = {};
  const INSTEAD = "The other pages show what was computed beforehand, and need none of this.";

  class Said extends Error {} // an error in words for readers

  // What this browser lacks, in words; "" where it has all.
  function missing() {
    // The smallest module with a vector in it.
    const vectors = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
    if (typeof WebAssembly !== "object") return "WebAssembly";
    if (!WebAssembly.validate(Uint8Array.from(vectors))) return "the vectors of WebAssembly";
    if (typeof DecompressionStream !== "function") return "DecompressionStream";
    return typeof Worker === "function" ? "" : "workers";
  }

  // Measured: what the tab of a browser takes at its peak is a fixed part and some copies of the weights.
  function tooLittle(descriptor) {
    const floats = descriptor.tensors.reduce((sum, one) => sum + one.count, 0);
    const needed = 230 + (3.5 * 4 * floats) / MB;
    const there = (navigator.deviceMemory * 1024) / 3; // of what a device has, a tab gets a part
    return there < needed ? `This device says that it has ${navigator.deviceMemory} GB of memory, and this network takes about ${Math.round(needed)} MB of one tab. It is not loaded, as the tab might be closed by the system. ${INSTEAD}` : "";
  }

  // A file that puts its data into cutawayData under its own name: taken out again, so that it is there once.
  function take(address) {
    const name = address.split("/").pop();
    return new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = `${address}.js`;
      script.onload = () => {
        const found = globalThis.cutawayData?.[name];
        if (found !== undefined) delete globalThis.cutawayData[name];
        script.remove();
        if (found !== undefined) done(found);
        else failed(new Said(`The file ${name}.js is damaged or cut short. Load the page anew; if it stays so, the site is not whole.`));
      };
      script.onerror = () => {
        script.remove();
        failed(new Said(`The file ${name}.js could not be loaded: it is missing, or the connection broke.`));
      };
      document.head.append(script);
    });
  }

  const tools = globalThis.cutawayDecode();
  const source = async (packed) => new TextDecoder().decode(await tools.gunzip(tools.base64(packed)));

  function toBase64(text) {
    const raw = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte));
    return btoa(raw.join(""));
  }

  // The worker, and calls to it as promises.
  class Session {
    constructor(descriptor, ort, library) {
      this.descriptor = descriptor;
      this.waiting = new Map();
      this.calls = 0;
      const parts = [
        ort, `\n;const library = (() => { const module = { exports: {} };\n${library}\n;return module.exports; })();\n`,
        `(${globalThis.cutawayWorker})(self, ort, library, (${globalThis.cutawayDecode})());`,
      ];
      const url = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
      this.worker = new globalThis.cutawayOwnWorker(url); // noted by the page, before its search puts another in its place
      this.worker.onmessage = ({ data }) => this.answer(data);
      this.worker.onerror = (event) => {
        event.preventDefault();
        this.close(new Said(`The part of the page that computes could not be started or has stopped${event.message ? ` (${event.message})` : ""}. The rules of the site or of this browser may forbid it. ${INSTEAD}`));
      };
    }

    call(call, ...given) {
      if (this.ended) return Promise.reject(this.ended);
      return new Promise((done, failed) => {
        this.calls += 1;
        this.waiting.set(this.calls, { done, failed });
        this.worker.postMessage({ id: this.calls, call, given });
      });
    }

    // What stands in the place of a worker may never answer.
    async begin() {
      const silent = new Said(`The part of the page that computes does not answer. ${INSTEAD}`);
      const timer = setTimeout(() => this.close(silent), PATIENCE);
      await this.call("begin", this.descriptor);
      clearTimeout(timer);
    }

    answer({ id, answer, error, said }) {
      const { done, failed } = this.waiting.get(id) ?? {};
      this.waiting.delete(id);
      if (error === undefined) done?.(answer);
      else failed?.(said ? new Said(error) : new Error(error));
    }

    // Of a network that has been opened: its outputs by name, all of them unless some are named.
    run(feeds, names) {
      return this.call("run", feeds, names);
    }

    tensor(index) {
      return this.call("tensor", index);
    }

    encode(text) {
      return this.call("encode", text);
    }

    shown(ids) {
      return this.call("shown", ids);
    }

    close(reason = new Said("The network was closed.")) {
      this.ended = reason;
      this.worker.terminate();
      for (const { failed } of this.waiting.values()) failed(reason);
      this.waiting.clear();
    }
  }

  // One element `.c-live` of a page.
  class Live {
    constructor(root) {
      this.root = root;
      this.kind = kinds[root.dataset.kind];
      for (const name of ["open", "form", "input", "status", "results"]) {
        this[name] = root.querySelector(`[data-live-${name}]`);
      }
      this.label = this.open.textContent;
      this.bar = document.createElement("progress");
      this.bar.setAttribute("aria-label", "Loading the network");
      this.bar.hidden = true;
      this.status.before(this.bar);
    }

    start() {
      const lack = missing();
      if (lack) {
        this.fail(`This browser has no ${lack}, which running a network takes. ${INSTEAD}`);
        return;
      }
      if (this.form) this.form.hidden = false;
      this.open.hidden = false;
      this.open.addEventListener("click", () => this.press());
      this.kind.start?.(this.root, this);
    }

    say(text) {
      this.status.classList.remove("c-live__status--wrong");
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    fail(text) {
      this.say(text);
      this.status.classList.add("c-live__status--wrong");
    }

    // What went wrong, in words; the library's own where there are no better ones. A network that ran out of
    // memory, or whose worker is gone, is in no state to run again.
    failed(error, doing) {
      const memory = /memory|allocat|out of bounds/i.test(error.message);
      if (this.session && (memory || this.session.ended)) this.restart();
      if (error instanceof Said) this.fail(error.message);
      else if (memory) this.fail(`There was too little memory ${doing}. Close other tabs and load the page anew. ${INSTEAD}`);
      else this.fail(`Something failed ${doing}: ${error.message}`);
    }

    press() {
      if (this.session) this.kind.go?.(this.session, this);
      else if (this.loading) this.stop();
      else this.load();
    }

    stop() {
      this.loading.stopped = true;
      this.loading.session?.close(new Said("Stopped."));
      this.ended();
      this.say("Stopped. Nothing is kept of what was loaded.");
    }

    ended() {
      this.loading = null;
      this.bar.hidden = true;
      this.open.textContent = this.label;
    }

    async load() {
      const loading = { stopped: false, session: null };
      this.loading = loading;
      this.open.textContent = "Stop";
      try {
        const session = await this.opened(loading);
        if (loading.stopped) return session.close();
        this.ended();
        this.session = session;
        this.open.textContent = this.kind.again ?? "";
        this.open.hidden = !this.kind.again;
        this.say("");
        await this.kind.ready(session, this);
      } catch (error) {
        if (loading.stopped) return;
        loading.session?.close();
        this.session = null;
        this.open.hidden = false;
        this.ended();
        this.failed(error, "when the network was opened");
      }
    }

    // Files come one after the other, and go to the worker at once: the page holds none of them.
    async opened(loading) {
      const { vendor, live } = this.root.dataset;
      const step = async (address) => {
        const found = await take(address);
        if (loading.stopped) throw new Said("Stopped.");
        return found;
      };
      this.say("Loading …");
      this.descriptor = await step(live.replace(/\.js$/, ""));
      const { descriptor } = this;
      const reason = tooLittle(descriptor);
      if (reason) throw new Said(reason);
      const { graph, weights, tokenizer } = descriptor.files;
      const files = [...(tokenizer ? [tokenizer] : []), ...graph, ...weights];
      this.progress(0, files.length, descriptor.bytes);
      const library = tokenizer ? await source(await step(`${vendor}tokenizers/tokenizers`)) : "";
      const ort = await source(await step(`${vendor}onnxruntime/ort`));
      const glue = toBase64(await source(await step(`${vendor}onnxruntime/glue`)));
      const session = new Session(descriptor, ort, library);
      loading.session = session;
      await session.begin();
      await session.call("file", "wasm", await step(`${vendor}onnxruntime/wasm`));
      const folder = live.replace(/[^/]*$/, "");
      for (const [place, name] of files.entries()) {
        await session.call("file", name, await step(folder + name));
        this.progress(place + 1, files.length, descriptor.bytes);
      }
      this.say("Opening the network …");
      this.bar.removeAttribute("value");
      await session.call("open", `data:text/javascript;base64,${glue}`);
      return session;
    }

    progress(done, all, bytes) {
      this.bar.hidden = false;
      this.bar.max = all;
      this.bar.value = done;
      this.say(`Loading ${Math.round(bytes / MB) || "less than 1"} MB …`);
    }

    restart() {
      this.session.close();
      this.session = null;
      this.open.hidden = false;
      this.open.textContent = this.label;
    }
  }

  function start() {
    for (const root of document.querySelectorAll(".c-live[data-kind]")) new Live(root).start();
  }

  addEventListener("DOMContentLoaded", start); // the other files have run by then
  return { kinds, Said };
})();
