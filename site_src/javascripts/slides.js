// Starts the slide view; text that is still too long for its slide is set smaller. On a phone held upright a
// slide would be too small to read: there they stand one below the other, as they do without a script.
(() => {
  const upright = matchMedia("(max-width: 40em)");
  const paper = new URLSearchParams(location.search).has("print-pdf");
  upright.addEventListener("change", () => paper || matchMedia("print").matches || location.reload());
  if (upright.matches && !paper) return;
  const ROOM = 690; // of 720: the progress bar stands below

  function fit(slide) {
    for (let size = 100; slide.scrollHeight > ROOM && size > 55; size -= 5) slide.style.fontSize = `${size}%`;
  }

  document.body.classList.add("c-show--ready");
  Reveal.initialize({
    width: 1280, height: 720, margin: 0.03, minScale: 0.1, maxScale: 4,
    center: false, hash: true, navigationMode: "linear", transition: "none", backgroundTransition: "none",
    slideNumber: "c/t", plugins: [RevealNotes],
  }).then(() => {
    const fitAll = () => { for (const slide of document.querySelectorAll(".c-slide")) if (slide.offsetParent) fit(slide); };
    Reveal.on("slidechanged", fitAll);
    addEventListener("load", fitAll);
    addEventListener("cutaway:chosen", fitAll);
    document.fonts?.ready.then(fitAll);
    fitAll();
  });
})();
