// Printing in the projector view: a handout, one slide a page, as the slides are at that moment.
(() => {
  const project = (window.rfProject ??= {});
  let handout = null, sheet = null, mode = null;

  function bind() {
    const deck = project.state?.();
    if (!deck || handout) return;
    project.printing = true;
    const html = document.documentElement, { theme } = html.dataset, wide = innerWidth, high = innerHeight, at = deck.at;
    mode = theme;
    html.dataset.theme = "light";  // paper is white
    handout = document.createElement("div");
    handout.className = "rf-handout";
    for (const [k, slide] of deck.slides.entries()) {
      project.show(deck, slide.units, slide.heading, slide.split?.figure);
      const copy = deck.article.cloneNode(true);
      copy.querySelectorAll(".rf-off, script").forEach((part) => part.remove());
      const page = document.createElement("span");
      page.className = "rf-page";
      page.textContent = `${deck.title} · ${k + 1} / ${deck.slides.length}`;
      copy.append(page);
      handout.append(copy);
    }
    const slide = deck.slides[at];
    project.show(deck, slide.units, slide.heading, slide.split?.figure);
    sheet = document.createElement("style");
    sheet.textContent = `@page { size: ${wide}px ${high}px; margin: 0 }`;
    html.style.setProperty("--rf-wide", `${wide}px`);
    html.style.setProperty("--rf-high", `${high}px`);
    html.classList.add("rf-printing");
    document.head.append(sheet);
    document.body.append(handout);
  }

  function unbind() {
    if (!handout) return;
    const html = document.documentElement;
    handout.remove();
    sheet.remove();
    html.classList.remove("rf-printing");
    html.dataset.theme = mode;
    html.style.removeProperty("--rf-wide");
    html.style.removeProperty("--rf-high");
    handout = sheet = null;
    project.printing = false;
  }

  window.addEventListener("beforeprint", bind);
  window.addEventListener("afterprint", unbind);
})();
