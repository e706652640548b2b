// Tabs work without a script. This keeps the choice in the address, so that a teacher can link to
// it, and carries it from page to page, so that one text can be followed through all heads.
(() => {
  const read = () => new URLSearchParams(location.hash.slice(1));

  function remember(name, value) {
    try {
      sessionStorage.setItem(`cutaway.${name}`, value);
    } catch {
      // Storage can be forbidden; the address still holds the choice.
    }
  }

  function recall(name) {
    try {
      return sessionStorage.getItem(`cutaway.${name}`);
    } catch {
      return null;
    }
  }

  function choose(tabs, value) {
    for (const input of tabs.querySelectorAll(".c-tabs__input")) {
      if (input.value === value) {
        input.checked = true;
        return true;
      }
    }
    return false;
  }

  function apply() {
    for (const tabs of document.querySelectorAll("[data-choice]")) {
      const name = tabs.dataset.choice;
      const asked = read().get(name);
      if (!(asked && choose(tabs, asked))) {
        const last = recall(name);
        if (last) choose(tabs, last);
      }
    }
  }

  document.addEventListener("change", (event) => {
    const tabs = event.target.closest?.("[data-choice]");
    if (!tabs || !event.target.matches(".c-tabs__input")) return;
    const name = tabs.dataset.choice;
    remember(name, event.target.value);
    const state = read();
    state.set(name, event.target.value);
    history.replaceState(null, "", `#${state}`);
  });
  addEventListener("hashchange", apply);
  apply();
})();
// What scrolls sideways must be reached by the keyboard.
for (const code of document.querySelectorAll("pre:not([tabindex]) > code")) code.tabIndex = 0;
