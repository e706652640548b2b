// Puts the units of a contact sheet in another order, each tile keeping its place in the sprite, or shows
// another sprite that is laid out alike.
(() => {
  const press = (bar, chosen) => {
    for (const button of bar.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  };
  for (const sheet of document.querySelectorAll(".c-contact")) {
    const tiles = [...sheet.querySelectorAll("a")];
    let kept = false;
    // Where each tile lies in the sprite, which follows from its place among its neighbours as long as it has that.
    const keep = () => {
      if (kept) return;
      kept = true;
      const places = tiles.map((tile) => {
        const style = getComputedStyle(tile);
        return ["--x", "--y"].map((name) => [name, style.getPropertyValue(name)]);
      });
      for (const [n, place] of places.entries()) {
        for (const [name, value] of place) tiles[n].style.setProperty(name, value);
      }
    };
    for (const bar of sheet.parentElement.querySelectorAll(".c-sort")) {
      bar.hidden = false;
      bar.addEventListener("click", (event) => {
        const chosen = event.target.closest("button");
        if (!chosen) return;
        press(bar, chosen);
        if (chosen.dataset.show !== undefined) {
          sheet.dataset.shown = chosen.dataset.show;
          return;
        }
        keep();
        const order = chosen.dataset.order ? chosen.dataset.order.split(" ").map(Number) : tiles.keys();
        sheet.replaceChildren(...Array.from(order, (unit) => tiles[unit]));
      });
    }
  }
})();
