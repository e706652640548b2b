"""What axe finds on a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# The contrast of text is looked at on three of those that have tags, classes and colours in common all the
# way up: rows of tables and terms of the glossary are alike, and this rule took nine tenths of the time.
_ALIKE = """() => {
  const kinds = new Map();
  const kind = (node) => {
    if (!node) return "";
    if (!kinds.has(node)) {
      const { color, backgroundColor, backgroundImage, opacity, font } = getComputedStyle(node);
      const style = [color, backgroundColor, backgroundImage, opacity, font];
      const own = [node.tagName, node.getAttribute("class"), ...style];
      kinds.set(node, `${kind(node.parentElement)}>${own}`);
    }
    return kinds.get(node);
  };
  const seen = new Map();
  for (const node of document.body.querySelectorAll("*")) {
    if (!node.checkVisibility() || !node.textContent.trim()) continue;
    seen.set(kind(node), (seen.get(kind(node)) ?? 0) + 1);
    node.toggleAttribute("data-alike", seen.get(kind(node)) > 3);
  }
  axe.configure({ rules: [{ id: "color-contrast", selector: ":not([data-alike])" }] });
}"""


def violations(page: Page) -> list[str]:
    """All that axe's rules find: contrast of a few of what is alike, all else of everything.

    What passes is not described node by node, which would take as long as finding what does not.
    """
    axe = Axe()
    page.evaluate(axe.axe_script)
    page.evaluate(_ALIKE)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] }).then((all) => all.violations)")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]
