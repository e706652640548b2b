// What can be chosen in an article: one combination of values is shown, and the choice stands in the address as
// #layers.layer=conv_stem. Without this script all combinations stand one below the other.
(() => {
  const slides = document.body.classList.contains("c-show"); // whose address says which slide it is
  const read = () => new URLSearchParams(location.hash.slice(1));

  class Choose {
    constructor(root) {
      this.root = root;
      this.form = root.querySelector(".c-choose__bar");
      this.choices = [...root.querySelectorAll(":scope > .c-choice")];
      this.knobs = [...this.form.querySelectorAll("[data-knob]")].map((knob) => ({
        key: `${root.id}.${knob.dataset.knob}`,
        // Radio buttons together, a slider or a menu: each has the place of its value as `value`.
        control: this.form.elements.namedItem(knob.dataset.knob),
        values: [...knob.querySelectorAll("[data-value]")].map((one) => one.dataset.value),
        slider: knob.querySelector("[type=range]"),
        title: knob.firstElementChild.textContent,
        output: knob.querySelector("output"),
      }));
      this.form.addEventListener("input", () => this.show());
      this.form.addEventListener("change", () => this.write());
      this.form.addEventListener("submit", (event) => event.preventDefault());
      if (slides) this.form.addEventListener("keydown", (event) => { if (event.key !== "Escape") event.stopPropagation(); });
      for (const sign of ["pointerenter", "pointerdown", "focusin"]) this.form.addEventListener(sign, () => this.fetch(), { once: true });
      root.dataset.ready = "";
      this.show();
    }

    show() {
      const places = this.knobs.map(({ control }) => control.value).join(" ");
      for (const choice of this.choices) choice.toggleAttribute("data-shown", choice.dataset.places === places);
      for (const { control, values, slider, title, output } of this.knobs) {
        if (!slider) continue;
        output.value = values[control.value];
        slider.setAttribute("aria-valuetext", `${title} ${values[control.value]}`);
      }
      dispatchEvent(new CustomEvent("cutaway:chosen"));
    }

    // The pictures that may be asked for next: a slider is not to run ahead of them.
    fetch() {
      const other = document.body.dataset.mdColorScheme === "slate" ? "c-on-light" : "c-on-dark";
      for (const picture of this.root.querySelectorAll(`img[loading]:not(.${other})`)) picture.loading = "eager";
    }

    write() {
      if (slides) return;
      const state = read();
      for (const name of [...state.keys()]) if (!state.get(name)) state.delete(name); // the place that a link led to
      for (const { key, control, values } of this.knobs) state.set(key, values[control.value]);
      try {
        history.replaceState(null, "", `#${state}`);
      } catch {
        // A browser that allows no more of it for now.
      }
    }

    // What an address asks for; whether it asks for anything here.
    apply(state) {
      let asked = false;
      for (const { key, control, values } of this.knobs) {
        const place = values.indexOf(state.get(key));
        if (place < 0) continue;
        control.value = String(place);
        asked = true;
      }
      if (asked) this.show();
      return asked;
    }

    // A figure or a sentence of a combination that is not shown was asked for.
    reveal(choice) {
      choice.dataset.places.split(" ").forEach((place, number) => { this.knobs[number].control.value = place; });
      this.show();
    }
  }

  const all = [...document.querySelectorAll(".c-choose")].map((root) => new Choose(root));

  function named() {
    try {
      return document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return null; // a percent sign that stands for nothing
    }
  }

  function follow() {
    const state = read();
    const asked = all.filter((one) => one.apply(state));
    if (asked.length) return asked[0].root;
    const target = named();
    const choice = target?.closest(".c-choice");
    if (!choice) return null;
    all.find(({ root }) => root === choice.parentElement).reveal(choice);
    return target;
  }

  if (slides) return;
  addEventListener("hashchange", () => follow()?.scrollIntoView());
  const first = follow();
  first?.scrollIntoView();
  if (first) addEventListener("load", () => first.scrollIntoView(), { once: true });
})();
