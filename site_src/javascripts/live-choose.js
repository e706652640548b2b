// Where a reader gives a picture: dropped, pasted, chosen, drawn, or one of the curated examples.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const { make, load, bytes } = globalThis.cutawayAttention;
  const { open, Refused, Board } = globalThis.cutawayPicture;

  function button(text, act) {
    const made = make("button", "c-attention__button", text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  // What a reader gave is handed to `take(picture, name)`, and what cannot be taken to `refuse(sentence)`; `wait` is
  // called when something was given that takes a while.
  class Choose {
    constructor(host, setup, folder, { take, refuse, wait }) {
      Object.assign(this, { host, setup, folder, take, refuse, wait, turn: 0 });
      this.zone = make("div", "c-live-drop");
      this.file = make("input");
      Object.assign(this.file, { type: "file", accept: "image/*", hidden: true });
      this.file.setAttribute("aria-label", "A picture");
      this.file.addEventListener("change", () => {
        const [file] = this.file.files;
        this.file.value = ""; // the same one may be chosen again
        if (file) this.give(file, file.name);
      });
      const words = make("p", "c-live-drop__words");
      words.append(button("Choose a picture", () => this.file.click()), make("span", "", "or drop one here, or paste one."));
      const parts = make("div", "c-live-drop__parts");
      if (setup.draw) this.board = new Board(parts, (picture) => this.hand(picture, "what you drew"));
      const rest = make("div", "c-live-drop__rest");
      rest.append(words, this.file, ...this.examples());
      if (setup.draw) rest.append(make("p", "c-look", `The network was trained on digits that are ${setup.ink}, cut out and as high as the picture. What you draw is made so; a picture is taken as it is.`));
      parts.append(rest);
      this.zone.append(parts);
      host.append(this.zone);
      this.listen();
    }

    examples() {
      if (!this.setup.examples?.length) return [];
      const list = make("div", "c-live-examples");
      list.setAttribute("role", "group");
      list.setAttribute("aria-label", "Pictures to begin with");
      this.buttons = this.setup.examples.map((example) => {
        const made = make("button", "c-live-example");
        made.type = "button";
        made.title = example.alt;
        const photo = make("img");
        Object.assign(photo, { src: example.thumb, alt: "", width: 56, height: 56 });
        photo.decoding = "async";
        made.append(photo, make("span", "", example.label));
        made.addEventListener("click", () => this.example(example, made));
        list.append(made);
        return made;
      });
      return [make("p", "c-look", "Or begin with one of these:"), list];
    }

    async example({ file, label }, made) {
      const turn = this.begin();
      try {
        const found = await load(`${this.folder}${file}.js`);
        if (typeof found !== "string") throw new Error(file);
        if (turn !== this.turn) return;
        const given = this.give(new Blob([bytes(found)]), label);
        made.setAttribute("aria-pressed", "true");
        await given;
      } catch {
        if (turn === this.turn) this.refuse(`The picture of this example (${file}.js) could not be loaded.`);
      }
    }

    listen() {
      const { zone } = this;
      const carries = (event) => [...(event.dataTransfer?.types ?? [])].some((one) => one === "Files" || one.startsWith("text/uri"));
      // A picture that misses the zone would otherwise take the place of the page.
      addEventListener("dragover", (event) => {
        if (!carries(event)) return;
        event.preventDefault();
        zone.toggleAttribute("data-over", true);
      });
      addEventListener("dragleave", (event) => {
        if (!event.relatedTarget) zone.toggleAttribute("data-over", false);
      });
      addEventListener("drop", (event) => {
        if (!carries(event)) return;
        event.preventDefault();
        zone.toggleAttribute("data-over", false);
        this.from(event.dataTransfer, "dropped");
      });
      document.addEventListener("paste", (event) => {
        if (event.target.closest?.("input, textarea, [contenteditable]")) return;
        this.from(event.clipboardData, "pasted");
      });
    }

    // Of what is dropped or pasted the first picture, else the first file; a link to another page is followed by none.
    from(transfer, how) {
      const files = [...(transfer?.files ?? [])];
      const file = files.find((one) => one.type.startsWith("image/")) ?? files[0];
      if (file) this.give(file, file.name || `what you ${how}`);
      else this.refuse(`What you ${how} holds no picture. Save it as a file, and choose that; nothing is fetched from another page.`);
    }

    begin() {
      this.turn += 1;
      for (const one of this.buttons ?? []) one.removeAttribute("aria-pressed");
      return this.turn;
    }

    async give(blob, name) {
      const turn = this.begin();
      this.wait();
      let picture = null;
      try {
        picture = await open(blob);
        if (turn === this.turn) await this.take(picture, name);
      } catch (error) {
        if (turn !== this.turn) return;
        const told = error instanceof Refused ? error.message : `It could not be read: ${error.message}`;
        this.refuse(`${name}: ${told}`);
      } finally {
        picture?.close();
      }
    }

    async hand(picture, name) {
      this.begin();
      await this.take(picture, name);
    }
  }

  return { Choose, button };
})());
