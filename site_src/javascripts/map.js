// The map of a network: the name of a row opens what its blocks are made of, and what stands below moves down.
(() => {
  const SHAPE = "M5 -4L11 0L5 4Z";

  function arrange(drawing, rows) {
    let down = 0;
    for (const row of rows) {
      row.node.setAttribute("transform", `translate(0 ${row.y + down})`);
      if (row.node.classList.contains("is-open")) down += row.opens;
    }
    const [width, height] = [Number(drawing.getAttribute("width")), drawing.closedHeight + down];
    drawing.setAttribute("height", height);
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.querySelector(".c-plan__last").setAttribute("transform", `translate(0 ${down})`);
  }

  function button(row, turn) {
    const name = row.node.querySelector(".c-plan__name");
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const text = name.querySelector("text");
    mark.setAttribute("d", SHAPE.replace(/ (-?\d)/g, (_, y) => ` ${Number(text.getAttribute("y")) - 4 + Number(y)}`));
    name.prepend(mark);
    const said = text.textContent.trim().replace(/\s+/g, " ");
    for (const [key, value] of Object.entries({ role: "button", tabindex: 0, "aria-expanded": false, "aria-label": `What is in ${said}` })) {
      name.setAttribute(key, value);
    }
    const press = () => {
      name.setAttribute("aria-expanded", row.node.classList.toggle("is-open"));
      turn();
    };
    name.addEventListener("click", press);
    name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      press();
    });
  }

  for (const drawing of document.querySelectorAll(".c-plan__drawing")) {
    drawing.closedHeight = Number(drawing.getAttribute("height"));
    const rows = Array.from(drawing.querySelectorAll(".c-plan__row"), (node) => ({
      node,
      y: Number(node.getAttribute("transform").match(/ ([\d.]+)\)/)[1]),
      opens: Number(node.dataset.opens ?? 0),
    }));
    for (const row of rows) if (row.opens) button(row, () => arrange(drawing, rows));
    for (const hint of drawing.closest("section").querySelectorAll(".c-plan__hint")) hint.hidden = false;
  }
})();
