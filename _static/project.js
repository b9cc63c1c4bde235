// The projector view: a chapter as slides, made from the page itself.  Key p, or the button in the header.
(() => {
  const project = (window.rfProject ??= {});
  const html = document.documentElement;
  const ADDRESS = /^#slide-(\d+)$/;
  const HELP = "← → turn, Home and End, n notes, c code, s show what is folded, S everywhere, f full screen, Esc leaves";
  let deck = null;

  const words = (node) => {
    const copy = node.cloneNode(true);
    copy.querySelectorAll("mjx-container > svg, .headerlink").forEach((part) => part.remove());
    return copy.textContent.trim();
  };

  // The bar below the slides: where one is, and buttons for hands without a keyboard.
  function bar() {
    const nav = document.createElement("nav");
    nav.className = "rf-deck";
    nav.setAttribute("aria-label", "Slides");
    nav.innerHTML = `<span class="rf-deck-progress" aria-hidden="true"></span><span class="rf-deck-place"></span>
      <span class="rf-deck-buttons"></span><span class="rf-deck-number" role="status" aria-live="polite"></span>`;
    const button = (label, title, act) => {
      const one = document.createElement("button");
      Object.assign(one, { type: "button", textContent: label, title });
      one.addEventListener("click", act);
      nav.querySelector(".rf-deck-buttons").append(one);
      return one;
    };
    button("Show", "Show what is folded here (s)", reveal).dataset.act = "show";
    button("Notes", "The full text beside the slide (n)", () => toggle("notes")).dataset.act = "notes";
    button("Code", "Show the code (c)", () => toggle("code")).dataset.act = "code";
    button("Leave", `Leave (Esc). Keys: ${HELP}`, project.leave);
    button("◀", "Back (←)", () => go(deck.at - 1)).setAttribute("aria-label", "Back");
    button("▶", "On (→)", () => go(deck.at + 1)).setAttribute("aria-label", "On");
    return nav;
  }

  function notes() {
    const panel = deck.panel, slide = deck.slides[deck.at], all = deck.units;
    const from = all.indexOf(slide.units[0]);
    const next = deck.slides[deck.at + 1];
    const to = next ? all.indexOf(next.units[0]) : all.length;
    const paragraphs = new Set(all.slice(from, to).filter((u) => u.folds.every((f) => deck.open.has(f)) && u.paragraph)
      .map((unit) => unit.paragraph));
    panel.replaceChildren();
    for (const paragraph of paragraphs) {
      const copy = paragraph.cloneNode(true);
      for (const part of [copy, ...copy.querySelectorAll("*")]) {
        part.classList.remove("rf-off", "rf-cut");
        if (!part.closest("svg")) part.removeAttribute("id");
      }
      panel.append(copy);
    }
    if (!paragraphs.size) panel.textContent = "No notes.";
  }

  function go(number, focus = true) {
    const { slides } = deck;
    deck.at = Math.max(0, Math.min(slides.length - 1, number));
    const slide = slides[deck.at];
    project.show(deck, slide.units, slide.heading, slide.split?.figure);
    deck.article.scrollTo(0, 0);
    const section = slide.heading?.parentElement.parentElement.closest("section")?.querySelector(":scope > :is(h1, h2)");
    const place = [deck.title, section && section.tagName === "H2" && section !== slide.heading && words(section)];
    deck.bar.querySelector(".rf-deck-place").textContent = place.filter(Boolean).join(" · ");
    deck.bar.querySelector(".rf-deck-number").innerHTML =
      `<span class="rf-deck-word">Slide </span>${deck.at + 1}<span class="rf-deck-word"> of </span><i aria-hidden="true">/</i>${slides.length}`;
    deck.bar.querySelector(".rf-deck-progress").style.width = `${(100 * (deck.at + 1)) / slides.length}%`;
    deck.bar.querySelector("[data-act=show]").disabled = !closed().length && !opened().length;
    html.classList.toggle("rf-first", deck.at === 0);
    if (deck.notes) notes();
    history.replaceState(null, "", `#slide-${deck.at + 1}`);
    if (focus) slide.heading?.focus({ preventScroll: true });
  }

  // The slide that shows a unit or an element, or else the one before it.
  function slideOf(node) {
    const order = deck.units.findIndex((u) => u.el === node || u.el.contains(node) || (node.contains(u.el)));
    let best = 0;
    deck.slides.forEach((slide, k) => { if (deck.units.indexOf(slide.units[0]) <= order) best = k; });
    return best;
  }

  function again(node) {  // deals anew, and shows the slide with this element
    project.deal(deck);
    go(slideOf(node ?? deck.units[0].el), false);
  }

  function toggle(what) {
    const first = deck.slides[deck.at].units[0].el;
    deck[what] = !deck[what];
    html.classList.toggle(`rf-with-${what}`, deck[what]);
    deck.bar.querySelector(`[data-act=${what}]`).setAttribute("aria-pressed", deck[what]);
    if (what === "code") again(first);
    else go(deck.at, false);
  }

  // What is folded on this slide: boxes whose title is here, solutions of an exercise that is here.
  const here = () => deck.slides[deck.at].units;
  const boxes = () => {
    const exercises = new Set(here().map((unit) => unit.exercise).filter(Boolean));
    const solutions = deck.units.filter((u) => exercises.has(u.exercise)).flatMap((u) => u.folds);
    return [...new Set([...here().flatMap((u) => [...u.folds, ...(u.opens ? [u.opens] : [])]), ...solutions])];
  };
  const closed = () => boxes().filter((box) => !deck.open.has(box));
  const opened = () => boxes().filter((box) => deck.open.has(box));
  function reveal() {
    const first = here()[0].el, [next] = closed();
    if (next) deck.open.add(next);
    else opened().forEach((box) => deck.open.delete(box));
    const shown = next && deck.units.find((unit) => unit.folds.includes(next));
    again(first);
    if (shown && !here().includes(shown)) go(slideOf(shown.el));
  }

  function revealAll() {
    const first = here()[0].el, all = new Set(deck.units.flatMap((unit) => unit.folds));
    const open = [...all].some((box) => !deck.open.has(box));
    deck.open = open ? all : new Set();
    again(first);
  }

  project.enter = (wanted) => {
    if (deck) return;
    const article = document.querySelector("article.bd-article"), root = article?.querySelector("section");
    if (!root) return;
    const top = window.scrollY;
    const unfolded = [...article.querySelectorAll(".toggle-hidden, details:not([open])")];
    const folded = unfolded.map((box) => [box, box.className, box.tagName === "DETAILS"]);
    const units = project.read(article);
    const spot = units.find((unit) => unit.el.getBoundingClientRect().bottom > 120)?.el;
    for (const [box, , details] of folded) details ? (box.open = true) : box.classList.remove("toggle-hidden");
    const containers = new Set();
    for (const { el } of units) for (let a = el.parentElement; a !== article; a = a.parentElement) containers.add(a);
    const headings = [...article.querySelectorAll("h1, h2, h3, h4, h5")];
    headings.forEach((heading) => heading.tabIndex = -1);
    for (const unit of units) {
      if (!unit.note) continue;
      unit.el.classList.add("rf-note");
      if (unit.el === unit.paragraph.lastElementChild) unit.paragraph.classList.add("rf-cut");
    }
    deck = {
      article, root, units, containers: [...containers], headings, folded, top, at: 0, code: false, notes: false,
      paragraphs: [...new Set(units.map((unit) => unit.paragraph).filter(Boolean))],
      open: new Set(), title: words(headings[0]), bar: bar(), panel: document.createElement("div"),
    };
    deck.panel.className = "rf-deck-notes";
    deck.panel.setAttribute("aria-label", "Notes");
    deck.panel.tabIndex = 0;
    document.body.append(deck.bar, deck.panel);
    html.classList.add("rf-projecting");
    project.clear(deck);
    project.deal(deck);
    go(wanted ? wanted - 1 : top > 200 && spot ? slideOf(spot) : 0);
  };

  project.leave = () => {
    if (!deck) return;
    const { article, units, containers, headings, paragraphs, folded } = deck;
    const here = deck.at ? deck.slides[deck.at].units[0].el : null, first = here?.closest(".rf-sentence")?.parentElement ?? here;
    const plain = (node, ...names) => {
      node.classList.remove(...names);
      if (!node.getAttribute("class")) node.removeAttribute("class");
      if (node.getAttribute("style") === "") node.removeAttribute("style");
    };
    for (const [box, name, details] of folded) details ? (box.open = false) : (box.className = name);
    for (const unit of units) unit.el.style.removeProperty("--rf-fit");
    for (const node of article.querySelectorAll("img, svg, .rf-slider")) {
      node.style.removeProperty(node.matches(".rf-slider") ? "max-width" : "height");
      if (node.getAttribute("style") === "") node.removeAttribute("style");
    }
    const touched = [...units.map((unit) => unit.el), ...containers, ...headings, ...paragraphs];
    touched.forEach((node) => plain(node, "rf-off", "rf-fit", "rf-note", "rf-cut", "rf-split", "rf-right"));
    headings.forEach((heading) => heading.removeAttribute("tabindex"));
    project.unwrap(article);
    html.classList.remove("rf-projecting", "rf-with-notes", "rf-with-code", "rf-first");
    html.style.removeProperty("--rf-em");
    deck.bar.remove();
    deck.panel.remove();
    const { top } = deck;
    deck = null;
    if (document.fullscreenElement) document.exitFullscreen();
    history.replaceState(null, "", location.pathname + location.search);
    if (first) first.scrollIntoView({ block: "center", behavior: "instant" });
    else window.scrollTo({ top, behavior: "instant" });
    document.querySelector(".rf-project-button")?.focus({ preventScroll: true });
  };

  project.button = () => {
    project.enter();
    html.requestFullscreen?.().catch(() => {});
  };
  project.state = () => deck;
  project.go = (number) => go(number - 1);

  const full = () => (document.fullscreenElement ? document.exitFullscreen() : html.requestFullscreen?.().catch(() => {}));
  const KEYS = {
    ArrowRight: () => go(deck.at + 1), ArrowDown: () => go(deck.at + 1), PageDown: () => go(deck.at + 1),
    " ": () => go(deck.at + 1), ArrowLeft: () => go(deck.at - 1), ArrowUp: () => go(deck.at - 1),
    PageUp: () => go(deck.at - 1), Backspace: () => go(deck.at - 1), Home: () => go(0),
    End: () => go(deck.slides.length - 1), S: revealAll, n: () => toggle("notes"), c: () => toggle("code"), s: reveal, f: full,
    p: () => project.leave(), Escape: () => project.leave(),
  };

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target, typing = at.matches?.("input:not([type=range]), textarea, select, [contenteditable]");
    if (typing) return;
    if (!deck) {
      if (event.key === "p" && document.querySelector(".rf-project-button")) { event.preventDefault(); project.enter(); }
      return;
    }
    // A slider keeps its arrows, a button its space bar; page keys, which pointers send, always turn.
    const own = at.matches("input[type=range]") ? /^(Arrow|Home|End)/ : at.matches("button, a[href], summary") ? /^( |Enter)$/ : /^$/;
    if (own.test(event.key)) return;
    if (event.key === "Escape" && at.matches("input[type=range]")) { deck.slides[deck.at].heading?.focus(); }
    else if (KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function follow() {  // the address, or a link to a place in the chapter
    const wanted = ADDRESS.exec(location.hash);
    if (!deck) { if (wanted || location.hash === "#project") project.enter(wanted && +wanted[1]); return; }
    if (wanted) { if (+wanted[1] !== deck.at + 1) go(+wanted[1] - 1); return; }
    const goal = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (goal && deck.article.contains(goal)) go(slideOf(goal));
  }

  const start = () => {
    if (!document.querySelector(".rf-project-button")) return;
    if (new URLSearchParams(location.search).has("project") && !ADDRESS.test(location.hash)) project.enter();
    else follow();
  };
  window.addEventListener("keydown", key, true);
  window.addEventListener("hashchange", follow);
  window.addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(start));
  window.addEventListener("resize", () => { if (deck && !project.printing) again(deck.slides[deck.at].units[0].el); });
  document.addEventListener("fullscreenchange", () => { if (deck && !document.fullscreenElement) project.leave(); });
  document.addEventListener("click", (event) => {
    const title = deck && event.target.closest?.(".admonition-title, summary");
    const unit = title && deck.units.find((one) => one.el === title && one.opens);
    if (unit) { event.preventDefault(); event.stopPropagation(); reveal(); }
  }, true);
})();
