// Paper: white, with folded parts open; from the projector view a handout, one slide a page.
(() => {
  const project = (window.rfProject ??= {});
  const html = document.documentElement;
  let undo = null;

  function page(deck, slide, number) {
    project.show(deck, slide.units, slide.heading, slide.split?.figure);
    const copy = deck.article.cloneNode(true), foot = document.createElement("span");
    copy.querySelectorAll(".rf-off, script").forEach((part) => part.remove());
    foot.className = "rf-page";
    foot.textContent = `${deck.title} · ${number} / ${deck.slides.length}`;
    copy.append(foot);
    return copy;
  }

  function handout(deck) {
    const pages = document.createElement("div"), sheet = document.createElement("style");
    pages.className = "rf-handout";
    deck.slides.forEach((slide, k) => pages.append(page(deck, slide, k + 1)));
    const slide = deck.slides[deck.at];
    project.show(deck, slide.units, slide.heading, slide.split?.figure);
    sheet.textContent = `@page { size: ${innerWidth}px ${innerHeight}px; margin: 0 }`;
    html.style.setProperty("--rf-wide", `${innerWidth}px`);
    html.style.setProperty("--rf-high", `${innerHeight}px`);
    html.classList.add("rf-printing");
    document.head.append(sheet);
    document.body.append(pages);
    return () => {
      pages.remove();
      sheet.remove();
      html.classList.remove("rf-printing");
      html.style.removeProperty("--rf-wide");
      html.style.removeProperty("--rf-high");
    };
  }

  function unfold() {
    const closed = [...document.querySelectorAll("article details:not([open], .rf-imports)")];
    closed.forEach((box) => box.open = true);
    return () => closed.forEach((box) => box.open = false);
  }

  window.addEventListener("beforeprint", () => {
    if (undo) return;
    project.printing = true;
    const { theme } = html.dataset, deck = project.state?.();
    html.dataset.theme = "light";
    const back = deck ? handout(deck) : unfold();
    undo = () => {
      back();
      html.dataset.theme = theme;
      project.printing = false;
    };
  });
  window.addEventListener("afterprint", () => {
    undo?.();
    undo = null;
  });
})();
