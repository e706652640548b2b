// The atlas of heads: a scatter over any two statistics, and a table that sorts and filters. The state
// (axes, order, filter) stands in the address. Links and names are read off the table of the page;
// without a script that table and a drawn scatter stand there alone.
(() => {
  const box = document.querySelector(".c-atlas");
  const table = document.querySelector(".c-atlas__table");
  if (!box || !table) return;
  const { columns, axes, roles, values } = JSON.parse(box.querySelector("script").textContent);
  const grouped = table.rows[0].cells[1].textContent === "KV group";
  const named = Boolean(table.tHead.querySelector("[data-role]")); // patches have no roles
  const rows = [...table.tBodies[0].rows];
  const heads = rows.map((row, place) => ({
    row,
    place,
    name: row.cells[0].textContent.trim(),
    href: row.cells[0].querySelector("a")?.getAttribute("href"), // a large model has pages for some heads
    group: grouped ? row.cells[1].textContent : "",
    role: named ? row.querySelector("[data-role]").textContent.trim() : "",
    values: values[place],
  }));
  const first = 1 + grouped + named; // the column of the first statistic
  const title = (head) => (named ? `${head.name}, ${head.role}` : head.name);
  const read = () => new URLSearchParams(location.hash.slice(1));

  function write(changes) {
    const state = read();
    for (const [name, value] of Object.entries(changes)) {
      if (value) state.set(name, value);
      else state.delete(name);
    }
    history.replaceState(null, "", `#${state}`);
  }

  function make(tag, attributes = {}, ...children) {
    const svg = ["svg", "g", "line", "text", "circle", "path"].includes(tag) || attributes.svg;
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name !== "svg") node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  function choice(label, options, chosen, listen) {
    const select = make("select");
    for (const [value, name] of options) select.append(make("option", { value }, name));
    select.value = chosen;
    select.addEventListener("change", () => listen(select.value));
    return [make("label", {}, label, select), select];
  }

  const index = (name, other) => {
    const found = columns.findIndex(([column]) => column === name);
    return found >= 0 ? found : columns.findIndex(([column]) => column === other);
  };
  const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  const plot = box.querySelector(".c-atlas__plot");
  const says = box.querySelector(".c-atlas__says");

  // Ticks at round numbers.
  function ticks(low, high) {
    const raw = (high - low) / 5 || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
    const found = [];
    for (let n = Math.ceil(low / step); n * step <= high + step * 1e-9; n += 1) found.push(n * step);
    return found;
  }

  function shown(head) {
    const role = read().get("role");
    const asked = (read().get("find") || "").toLowerCase();
    return (!role || head.role === role) && (!asked || `${head.name} ${head.role}`.toLowerCase().includes(asked));
  }

  function scale(column, from, to) {
    const all = heads.map((head) => head.values[column]).filter((value) => value !== null);
    const low = Math.min(...all);
    const high = Math.max(...all);
    const pad = (high - low) * 0.04 || 1;
    const place = (value) => from + ((value - low + pad) / (high - low + 2 * pad)) * (to - from);
    return { place, ticks: ticks(low, high) };
  }

  function tell(head, x, y) {
    const mates = grouped ? heads.filter((other) => other.group === head.group) : [];
    for (const other of heads) other.dot.classList.toggle("c-dot--mate", mates.includes(other) && other !== head);
    const names = mates.filter((other) => other !== head).map((other) => other.name);
    says.textContent =
      `${title(head)}: ${columns[x][1]} ${short(head.values[x])}, ` +
      `${columns[y][1]} ${short(head.values[y])}${names.length ? `; shares keys and values with ${names.join(", ")}` : ""}.`;
  }

  // As wide as on the screen, so that letters keep their size.
  const room = () => Math.max(300, plot.clientWidth);

  function draw() {
    const x = index(read().get("x"), axes[0]);
    const y = index(read().get("y"), axes[1]);
    const width = room();
    const [height, left, bottom] = [Math.round(Math.min(460, Math.max(280, width * 0.62))), 56, 44];
    const across = scale(x, left, width - 12);
    const up = scale(y, height - bottom, 12);
    const label = `Scatter plot of ${heads.length} heads: ${columns[x][1]} to the right, ${columns[y][1]} upwards`;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label });
    for (const value of across.ticks) {
      const at = across.place(value);
      svg.append(make("line", { class: "c-axis", x1: at, x2: at, y1: 12, y2: height - bottom }));
      svg.append(make("text", { x: at, y: height - bottom + 15, "text-anchor": "middle" }, short(value)));
    }
    for (const value of up.ticks) {
      const at = up.place(value);
      svg.append(make("line", { class: "c-axis", x1: left, x2: width - 12, y1: at, y2: at }));
      svg.append(make("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, short(value)));
    }
    svg.append(make("text", { class: "c-title", x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, columns[x][1]));
    const turned = `rotate(-90 12 ${(height - bottom) / 2})`;
    svg.append(make("text", { class: "c-title", x: 12, y: (height - bottom) / 2, "text-anchor": "middle", transform: turned }, columns[y][1]));
    for (const head of heads) {
      const link = make("a", { svg: true, ...(head.href ? { href: head.href } : { role: "img" }), "aria-label": title(head) });
      const kind = `c-dot${!named || head.role === "unlabelled" ? "" : " c-dot--role"}`;
      head.dot = make("circle", { class: kind, cx: across.place(head.values[x]), cy: up.place(head.values[y]), r: 5.5 });
      link.append(head.dot);
      for (const event of ["pointerenter", "focus"]) link.addEventListener(event, () => tell(head, x, y));
      const role = roles.indexOf(head.role);
      if (role >= 0) head.dot.style.setProperty("--role", `var(--role-${role})`);
      // A statistic that is measured on some heads only leaves the others out.
      head.absent = [x, y].some((column) => head.values[column] === null);
      if (head.absent) link.style.display = "none";
      head.link = link;
      svg.append(link);
    }
    plot.replaceChildren(svg);
    const opens = heads.some((head) => head.href) ? "; it opens its head's page" : "";
    says.textContent = `Point at a dot, or move through them with Tab and the arrow keys${opens}.`;
    filter();
  }

  function filter() {
    let [count, reached] = [0, 0];
    for (const head of heads) {
      const there = shown(head);
      count += there;
      reached += there && !head.absent;
      head.row.hidden = !there;
      head.dot.classList.toggle("c-dot--out", !there);
      // One stop of the Tab key; the arrow keys walk on from there.
      head.link.setAttribute("tabindex", there && !head.absent && reached === 1 ? "0" : "-1");
    }
    tally.textContent = `${count} of ${heads.length} heads`;
  }

  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const reachable = heads.filter((head) => shown(head) && !head.absent);
    const now = reachable.findIndex((head) => head.link === document.activeElement);
    if (now < 0) return;
    event.preventDefault();
    reachable[(now + step + reachable.length) % reachable.length].link.focus();
  });

  function value(head, column) {
    if (column >= first) return head.values[column - first] ?? -Infinity;
    if (column === 0) return -head.place;
    return head.row.cells[column].textContent;
  }

  function sort() {
    const [column, way] = (read().get("sort") || "").split(".");
    const at = Number(column);
    const cells = [...table.rows[0].cells];
    const asked = column !== "" && cells[at];
    const order = [...heads];
    if (asked) {
      const sign = way === "up" ? 1 : -1;
      order.sort((one, other) => {
        const [a, b] = [value(one, at), value(other, at)];
        if (a === b) return one.place - other.place;
        return (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true })) * sign;
      });
    }
    cells.forEach((cell, number) => {
      if (asked && number === at) cell.setAttribute("aria-sort", way === "up" ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    // Lines between KV groups mean something in the order of the model only.
    for (const head of heads) head.row.classList.toggle("c-first", !asked && head.opens);
    table.tBodies[0].append(...order.map((head) => head.row));
  }

  const options = columns.map(([name, title]) => [name, title]);
  const controls = box.querySelector(".c-atlas__controls");
  const [labelX, selectX] = choice("To the right", options, columns[index(read().get("x"), axes[0])][0], (name) => {
    write({ x: name });
    draw();
  });
  const [labelY, selectY] = choice("Upwards", options, columns[index(read().get("y"), axes[1])][0], (name) => {
    write({ y: name });
    draw();
  });
  controls.append(labelX, labelY);

  const filters = document.querySelector(".c-atlas__filters");
  const known = [...new Set(heads.map((head) => head.role))].sort();
  const [labelRole, selectRole] = choice("Role", [["", "all"], ...known.map((role) => [role, role])], read().get("role") || "", (role) => {
    write({ role });
    filter();
  });
  const find = make("input", { type: "search", placeholder: named ? "L5H, previous …" : "L5H …", value: read().get("find") || "" });
  find.addEventListener("input", () => {
    write({ find: find.value.trim() });
    filter();
  });
  const tally = make("span", { "aria-live": "polite" });
  if (named) filters.append(labelRole);
  filters.append(make("label", {}, "Find", find), tally);

  const key = box.querySelector(".c-atlas__key");
  for (const name of named ? [...roles, "unlabelled"] : []) {
    const count = heads.filter((head) => head.role === name).length;
    const entry = make("span", {}, `${name} ${count}`);
    if (roles.includes(name)) entry.style.setProperty("--role", `var(--role-${roles.indexOf(name)})`);
    if (count) key.append(entry);
  }
  for (const head of heads) head.opens = head.row.classList.contains("c-first");
  [...table.rows[0].cells].forEach((cell, column) => {
    const button = make("button", { type: "button" }, cell.textContent);
    button.addEventListener("click", () => {
      const [now, way] = (read().get("sort") || "").split(".");
      const again = now === String(column);
      write({ sort: again && way === "up" ? "" : `${column}.${again ? "up" : "down"}` });
      sort();
    });
    cell.replaceChildren(button);
  });

  addEventListener("hashchange", () => {
    selectX.value = columns[index(read().get("x"), axes[0])][0];
    selectY.value = columns[index(read().get("y"), axes[1])][0];
    selectRole.value = read().get("role") || "";
    find.value = read().get("find") || "";
    draw();
    sort();
  });
  addEventListener("resize", () => {
    if (Math.abs(room() - plot.firstChild.viewBox.baseVal.width) > 2) draw();
  });
  box.hidden = false;
  filters.hidden = false;
  document.querySelector(".c-atlas__still")?.setAttribute("hidden", ""); // not in a file alone
  draw();
  sort();
})();
