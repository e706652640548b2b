// The control beside a component: a frame to copy, the component alone, and the command that makes a file of it.
(() => {
  if ("embed" in document.documentElement.dataset) return;

  const part = (tag, attributes, ...children) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  };

  const quoted = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

  const tabOf = (control) => control.closest(".c-tabs")?.querySelector(":scope > .c-tabs__input:checked");

  function pageOf(control) {
    const page = new URL(location);
    page.searchParams.set("embed", control.dataset.name);
    const state = new URLSearchParams(page.hash.slice(1));
    const tab = tabOf(control);
    if (tab) state.set(tab.name, tab.value);
    page.hash = state;
    return page;
  }

  function frameFor(control) {
    const page = pageOf(control), tab = tabOf(control);
    const title = quoted(document.querySelector("h1").textContent.trim());
    const height = Math.ceil(cutawayShownBy(control).getBoundingClientRect().height) + 60;
    const code = `<iframe src="${quoted(page.href)}" title="${title}" width="100%" height="${height}" style="border: 0" loading="lazy"></iframe>
<script>
addEventListener("message", ({ data, source }) => {
  for (const one of document.querySelectorAll("iframe")) if (data?.cutaway && one.contentWindow === source) one.height = data.height;
});
<\/script>`;
    const which = tab ? ` --${tab.name === "picture" ? "image" : tab.name} ${tab.value}` : "";
    const command = `cutaway figure ${control.dataset.figure}${which} -o ${control.dataset.figure.split(" ")[0]}.html`;
    return { page, code, command };
  }

  function offer(control) {
    const code = part("textarea", { readOnly: true, rows: 6, spellcheck: false });
    code.setAttribute("aria-label", "Frame to copy");
    const copy = part("button", { type: "button", className: "c-embed__copy", textContent: "Copy" });
    const alone = part("a", { href: pageOf(control), textContent: "Open it alone" });
    const command = part("code", {});
    const box = part("details", {}, part("summary", { textContent: "Embed" }),
      part("p", {}, "A frame with this component as it is now, for any page:"), code, copy,
      part("p", {}, alone, ". One file that needs no site and no network: ", command));
    box.addEventListener("toggle", () => {
      const made = frameFor(control);
      [code.value, alone.href, command.textContent] = [made.code, made.page, made.command];
    });
    copy.addEventListener("click", async () => {
      code.select();
      try {
        await navigator.clipboard.writeText(code.value);
        copy.textContent = "Copied";
      } catch {
        copy.textContent = "Selected"; // not allowed here: for the reader's own hand
      }
      setTimeout(() => { copy.textContent = "Copy"; }, 2000);
    });
    control.replaceChildren(box);
  }

  for (const control of document.querySelectorAll(".c-embed")) offer(control);
})();
