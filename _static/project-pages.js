// Slides: the units of a chapter dealt out to screens, one after the other, so that nothing runs over.
(() => {
  const project = (window.rfProject ??= {});
  // Of the slide: a figure's height above its text, or above the last words of a section, or, at least,
  // beside the text, and the widths it may have there.
  const LEAST = 0.66, SMALL = 0.5, ASIDE = 0.45, SHARES = [0.6, 0.5, 0.42];

  // Turns one unit on or off, and with it the boxes that it stands in.
  const turn = (deck, unit, on) => {
    unit.el.classList.toggle("rf-off", !on);
    for (let a = unit.el.parentElement; a !== deck.article; a = a.parentElement) {
      const count = (deck.count.get(a) ?? 0) + (on ? 1 : -1);
      deck.count.set(a, count);
      a.classList.toggle("rf-off", !count);
    }
  };

  // Shows these units and what they stand in, and nothing else of the article.
  project.show = (deck, units, heading, split = null) => {
    for (const unit of deck.shown) turn(deck, unit, false);
    for (const unit of units) turn(deck, unit, true);
    deck.shown = [...units];
    deck.heading?.classList.add("rf-off");
    deck.heading = heading;
    heading?.classList.remove("rf-off");
    lay(deck, split);
  };

  const add = (deck, unit) => { turn(deck, unit, true); deck.shown.push(unit); };
  const drop = (deck) => { turn(deck, deck.shown.pop(), false); };

  // Puts a figure beside the text, or, without one, all in one column.
  function lay(deck, figure) {
    deck.split?.forEach((node) => node.classList.remove("rf-split", "rf-right"));
    deck.split = null;
    if (!figure) return;
    const block = figure.el.closest("div.cell, figure");
    deck.split = [block.parentElement, block];
    block.parentElement.classList.add("rf-split");
    block.classList.add("rf-right");
  }

  const over = (deck) => deck.article.scrollHeight > deck.article.clientHeight;
  const room = (deck) => deck.height - deck.root.offsetHeight;
  const visible = (deck, unit) =>
    !unit.note && (unit.kind !== "code" || deck.code) && unit.folds.every((fold) => deck.open.has(fold));

  const drawing = (unit) => unit.el.matches("img") ? unit.el : unit.el.querySelector(".rf-slider svg, img, svg");
  function aspect(unit) {
    const picture = drawing(unit), box = picture?.viewBox?.baseVal;
    return box?.height ? box.width / box.height : (picture?.naturalWidth || 1) / (picture?.naturalHeight || 1);
  }

  // Makes a figure as high as this; a slider's controls count.
  function size(deck, unit, height) {
    const slider = unit.el.querySelector(".rf-slider"), picture = drawing(unit);
    if (!picture) return;
    if (!slider) { picture.style.height = `${Math.floor(height)}px`; return; }
    const controls = slider.offsetHeight ? slider.offsetHeight - picture.clientHeight : 3 * deck.em;
    const drawn = Math.max(height - controls, 100);
    picture.style.height = `${Math.floor(drawn)}px`;
    slider.style.maxWidth = `${Math.floor(Math.max(drawn * aspect(unit), 20 * deck.em))}px`;  // its words need width
  }

  // May this figure stand beside the rest of the slide?  Text and verdicts can be narrow; equations cannot.
  function apart(slide, heading) {
    const figures = slide.filter((unit) => unit.kind === "figure");
    if (figures.length !== 1 || slide.length < 2 || innerWidth < 900) return null;
    const block = figures[0].el.closest("div.cell, figure"), section = block?.parentElement;
    const narrow = slide.every((unit) => unit === figures[0] || (/^(text|output)$/.test(unit.kind) && !unit.box
      && section.contains(unit.el)));
    return narrow && section === heading?.parentElement ? figures[0] : null;
  }
  const beside = (deck, figure, share) => {  // its height when it stands beside the text
    const width = share * (deck.article.clientWidth - deck.side);
    const controls = figure.el.querySelector(".rf-slider") ? 3.2 * deck.em : 0;
    const head = deck.heading.offsetHeight + parseFloat(getComputedStyle(deck.heading).marginBottom);
    return Math.min(deck.height - head - deck.em, width / aspect(figure) + controls);
  };

  // What is wider than a slide, or alone on it and higher, is set smaller.
  function fit(deck, unit, alone) {
    const { el } = unit;
    if (unit.kind === "figure") return;
    const inner = el.matches("div.math") ? el.querySelector("mjx-container > svg") : el.querySelector("table") ?? el;
    const number = el.querySelector(":scope > .eqno")?.offsetWidth ?? 0;
    const allowed = (el.clientWidth || el.parentElement.clientWidth) - (number && number + 0.3 * deck.em);
    const width = inner === el ? el.scrollWidth : inner.getBoundingClientRect().width;
    let k = 1;
    const set = () => {
      el.classList.add("rf-fit");
      el.style.setProperty("--rf-fit", k.toFixed(3));
    };
    if (width > allowed + 2) { k = Math.max(0.3, (0.98 * allowed) / width); set(); }
    while (alone && over(deck) && k > 0.3) { k *= 0.95; set(); }
  }

  // Sets the one figure of a slide beside its text, as large as that goes: {figure, height}, or null.
  function aside(deck, slide, heading) {
    const figure = apart(slide, heading);
    for (const share of figure ? SHARES : []) {
      const height = beside(deck, figure, share);
      if (height < ASIDE * deck.height) break;
      size(deck, figure, height);
      lay(deck, figure);
      if (!over(deck)) return { figure, height };
    }
    lay(deck, null);
    if (figure) size(deck, figure, LEAST * deck.height);
    return null;
  }

  // Makes a figure smaller where that keeps a paragraph whole, or the last words of a section with it.
  // The index after the last unit that it made room for, or 0.
  function squeeze(deck, slide, units, k, fresh) {
    const figure = slide.find((unit) => unit.kind === "figure");
    let end = k;
    while (end < units.length && !fresh.has(units[end]) && units[end].kind !== "figure") end += 1;
    if (end - k > 2 || units[end]?.kind === "figure") {
      for (end = k + 1; units[end]?.paragraph && units[end].paragraph === units[k].paragraph;) end += 1;
    }
    if (!figure || units[k].kind !== "text" || end - k > 3) return 0;
    size(deck, figure, SMALL * deck.height);
    const more = units.slice(k + 1, end);
    for (const unit of more) add(deck, unit);
    if (!over(deck)) { slide.push(...more); return end; }
    for (const _ of more) drop(deck);
    size(deck, figure, LEAST * deck.height);
    return 0;
  }

  // The units of one slide, from the k-th on, and the figure that stands beside the others, if one does.
  function one(deck, units, k, fresh) {
    const first = units[k], slide = [];
    let split = null;
    project.show(deck, [], first.heading);
    for (; k < units.length && (!slide.length || !fresh.has(units[k])); k += 1) {
      const unit = units[k];
      add(deck, unit);
      slide.push(unit);
      fit(deck, unit, slide.length === 1);
      if (slide.length === 1 || !over(deck)) continue;
      if (!split && (split = aside(deck, slide, first.heading))) continue;
      const end = split ? 0 : squeeze(deck, slide, units, k, fresh);
      if (end) { k = end; break; }
      slide.pop();
      drop(deck);
      break;
    }
    const ended = k >= units.length || fresh.has(units[k]);
    if (!ended) {  // no statement or paragraph is broken that another slide can hold, no equation left by its sentence
      const { box, paragraph } = units[k];
      const starts = slide.findIndex((unit) => (box ? unit.box === box : paragraph && unit.paragraph === paragraph));
      if (starts > 0) slide.length = starts;
      while (slide.length > 1 && slide.at(-1).lead) slide.pop();
    }
    if (split && !slide.includes(split.figure)) split = null;
    return { units: slide, heading: first.heading, split };
  }

  // A figure takes the room that is left on its slide.
  function fill(deck, slide) {
    const figures = slide.units.filter((unit) => unit.kind === "figure");
    if (!figures.length) return;
    project.show(deck, slide.units, slide.heading, slide.split?.figure);
    if (slide.split) return size(deck, slide.split.figure, slide.split.height);
    let height = SMALL * deck.height;
    for (let round = 0; round < 2; round += 1) {
      figures.forEach((unit) => size(deck, unit, height));
      height = Math.max(80, height + room(deck) / figures.length - 2);
    }
    const [figure] = figures, least = Math.min(height, (deck.article.clientWidth - deck.side) / aspect(figure));
    const other = aside(deck, slide.units, slide.heading);
    if (other && other.height > least) slide.split = other;
    else {
      lay(deck, null);
      figures.forEach((unit) => size(deck, unit, height));
    }
    for (height = slide.split?.height ?? height; over(deck) && height > 80;) {  // its words may have wrapped
      height *= 0.95;
      figures.forEach((unit) => size(deck, unit, height));
    }
  }

  // Deals the visible units out.  A slide ends before a heading or an exercise, and where it is full.
  project.deal = (deck) => {
    measure(deck);
    const units = deck.units.filter((unit) => visible(deck, unit)), fresh = new Set(), slides = [];
    let due = false;
    for (const unit of deck.units) {  // where a slide would begin with something hidden, what follows begins it
      due ||= unit.fresh;
      if (due && visible(deck, unit)) { fresh.add(unit); due = false; }
    }
    for (const unit of units) if (unit.kind === "figure") size(deck, unit, LEAST * deck.height);
    for (let k = 0; k < units.length; k += slides.at(-1).units.length) slides.push(one(deck, units, k, fresh));
    for (const slide of slides) fill(deck, slide);
    deck.slides = slides;
  };

  // The size of the type: 28 pixels on a screen of 1280 by 720, in proportion on others.
  function measure(deck) {
    deck.em = Math.max(16, Math.min(innerHeight * 0.039, innerWidth * 0.022));
    document.documentElement.style.setProperty("--rf-em", `${deck.em.toFixed(2)}px`);
    const style = getComputedStyle(deck.article);
    deck.side = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    deck.height = deck.article.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    for (const unit of deck.units) {
      unit.el.classList.remove("rf-fit");
      unit.el.style.removeProperty("--rf-fit");
    }
  }

  // All units off, before the first slide is dealt out.
  project.clear = (deck) => {
    Object.assign(deck, { count: new Map(), shown: [], heading: null, split: null });
    for (const node of [...deck.containers, ...deck.headings]) node.classList.add("rf-off");
    for (const unit of deck.units) unit.el.classList.add("rf-off");
  };
})();
