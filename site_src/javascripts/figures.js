// The gallery of figures by technique, model and place; the choice stands in the address.
(() => {
  const form = document.querySelector(".c-filter");
  const status = form.querySelector("[role=status]");

  function show() {
    const { technique, model, place } = Object.fromEntries(new FormData(form));
    let count = 0;
    for (const section of document.querySelectorAll(".c-shown")) {
      let here = 0;
      for (const item of section.querySelectorAll("li")) {
        const other = (key, chosen) => Boolean(chosen && item.dataset[key] !== chosen);
        item.hidden = other("model", model) || other("place", place);
        here += !item.hidden;
      }
      section.hidden = !here || Boolean(technique && section.id !== technique);
      count += section.hidden ? 0 : here;
    }
    status.textContent = count === 1 ? "1 figure" : `${count} figures`;
  }

  function apply() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const select of form.querySelectorAll("select")) {
      const value = asked.get(select.name) ?? "";
      select.value = [...select.options].some((option) => option.value === value) ? value : "";
    }
    show();
  }

  form.addEventListener("change", () => {
    const chosen = [...new FormData(form)].filter(([, value]) => value);
    history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", apply);
  form.hidden = false;
  apply();
})();
