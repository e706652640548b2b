// Puts the units of a contact sheet in another order. Each tile keeps the place it has in the sprite.
(() => {
  for (const sheet of document.querySelectorAll(".c-contact")) {
    const tiles = [...sheet.querySelectorAll("a")];
    for (const tile of tiles) {
      const style = getComputedStyle(tile);
      const place = ["--x", "--y"].map((name) => [name, style.getPropertyValue(name)]);
      for (const [name, value] of place) tile.style.setProperty(name, value);
    }
    const bar = sheet.parentElement.querySelector(".c-sort");
    bar.hidden = false;
    bar.addEventListener("click", (event) => {
      const chosen = event.target.closest("button");
      if (!chosen) return;
      const order = chosen.dataset.order ? chosen.dataset.order.split(" ").map(Number) : tiles.keys();
      sheet.replaceChildren(...Array.from(order, (unit) => tiles[unit]));
      for (const button of bar.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button === chosen));
      }
    });
  }
})();
