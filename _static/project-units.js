// The units of a chapter in the order of its text: what a slide shows, or leaves out, as a whole.
(() => {
  const project = (window.rfProject ??= {});
  // Characters: of a paragraph that is shown in full, in the text and below a figure; of what says enough.
  const SHORT = 180, CAPTION = 420, ENOUGH = 60;
  const END = /[.!?][”’")\]]*\s+$/, BEFORE = /[.!?][”’")\]]*$/;
  const STOP = /[.!?][”’")\]]*\s+(?=[A-Z“"(])/g;
  const SHORTENED = /(?:\b(?:e\.g|i\.e|cf|[Ee]qs?|Fig|Sec|vs|resp|al|No|pp?)\.|[A-Z]\.)\s*$/;

  // A paragraph's sentences, each in a span of its own; `project.unwrap` takes the spans away again.
  function sentences(paragraph) {
    const groups = [[]];
    const next = () => { if (groups.at(-1).length) groups.push([]); };
    for (const node of [...paragraph.childNodes]) {
      if (node.nodeType !== Node.TEXT_NODE) { groups.at(-1).push(node); continue; }
      const before = groups.at(-1).at(-1);
      if (before?.nodeType === Node.ELEMENT_NODE && !before.matches("mjx-container")
        && BEFORE.test(before.textContent) && /^\s+([A-Z“(]|$)/.test(node.data)) next();
      let rest = node;
      for (;;) {
        STOP.lastIndex = 0;
        let hit, at = 0;
        while ((hit = STOP.exec(rest.data)) && SHORTENED.test(rest.data.slice(0, STOP.lastIndex))) { /* look on */ }
        if (hit) at = STOP.lastIndex;
        if (!at || at >= rest.data.length) break;
        const tail = rest.splitText(at);
        groups.at(-1).push(rest);
        next();
        rest = tail;
      }
      groups.at(-1).push(rest);
      if (END.test(rest.data) && !SHORTENED.test(rest.data)) next();
    }
    return groups.filter((nodes) => nodes.length).map((nodes) => {
      const span = document.createElement("span");
      span.className = "rf-sentence";
      nodes[0].before(span);
      span.append(...nodes);
      return span;
    });
  }

  project.unwrap = (article) => {
    for (const span of article.querySelectorAll(".rf-sentence")) {
      const parent = span.parentElement;
      span.replaceWith(...span.childNodes);
      parent.normalize();
    }
  };

  // Which sentences of a paragraph stay on a slide when it is running text: the first; the last if it
  // leads to what is displayed next; all of them if they are few, or tell what is seen in a figure above.
  function kept(paragraph, spans, opening) {
    const length = paragraph.innerText.length;
    const after = paragraph.previousElementSibling;
    const seen = after?.matches("div.cell") && after.querySelector(".cell_output img, .rf-slider");
    if (opening || length <= SHORT || (seen && length <= CAPTION)) return () => true;
    const next = paragraph.nextElementSibling;
    if (next?.matches(".tag_remove-output")) return () => false;  // it leads to what only a live kernel shows
    const leads = next?.matches("div.math, ul, ol, .pst-scrollable-table-container");
    let told = 0, first = 0;  // a first sentence of a word or two, or a question, needs the next one
    for (; first < spans.length && told < ENOUGH; first += 1) told += spans[first].innerText.length;
    return (k) => k < first || (leads && k === spans.length - 1) || (seen && k <= first);
  }

  const NOTHING = "script, style, template, .headerlink, .rf-anchor, .admonition-title, summary";
  const BOX = ".admonition, .sd-dropdown, blockquote, .container, [class*=slides-]";
  const FOLDED = ".dropdown, .toggle, .solution, details.sd-dropdown";
  const TABLE = "table, .pst-scrollable-table-container";

  // A unit is {el, kind, heading, exercise, folds, fresh, ...}: `folds` are the closed boxes it is inside
  // of, `fresh` says that a slide begins with it, `note` that only the full text has it, `lead` that it
  // leads to the next unit, `opens` that it is the title of a folded box.
  project.read = (article) => {
    const units = [], state = { heading: null, exercise: null, solution: null, fresh: true, opening: true };

    const add = (el, kind, context, more = {}) => {
      const folds = state.solution && !context.folds.length ? [state.solution] : context.folds;
      const { heading, exercise, box, fresh } = state;
      units.push({ el, kind, heading, exercise, box, fresh, folds, ...more });
      state.fresh = false;
    };

    function prose(paragraph, context) {
      const opening = state.opening && !context.full;
      if (opening) state.opening = false;
      const spans = sentences(paragraph);
      const stays = context.full ? () => true : kept(paragraph, spans, opening);
      spans.forEach((el, k) => {
        const lead = k === spans.length - 1
          && (/:\s*$/.test(paragraph.textContent) || !!paragraph.nextElementSibling?.matches("div.math"));
        add(el, "text", context, { note: context.skip || !stays(k), lead, paragraph });
      });
    }

    function cell(node, context) {  // code, and what it made; cells after a solution carry it out
      const code = node.querySelector(":scope > .cell_input, :scope > details");
      if (code) add(code, "code", context);
      for (const output of node.querySelectorAll(":scope > .cell_output > *")) {
        if (output.matches(NOTHING)) continue;
        const seen = output.matches("img, svg, figure") || output.querySelector(".rf-slider, img");
        add(output, seen ? "figure" : "output", context);
      }
    }

    function box(node, context) {
      const folded = node.matches(FOLDED), title = node.querySelector(":scope > :is(.admonition-title, summary)");
      if (node.matches(".exercise")) Object.assign(state, { exercise: node, solution: null, fresh: true });
      if (node.matches(".slides-new")) state.fresh = true;
      if (node.matches(".solution")) state.solution = node;
      else if (folded && title) add(title, "fold", context, { opens: node });
      const plain = node.matches(".slides-new, .slides-skip");
      const outer = state.box;
      if (!plain) state.box ??= node;
      walk(node, {
        full: context.full || !plain,
        skip: context.skip || node.matches(".slides-skip"),
        folds: folded ? [...context.folds, node] : context.folds,
      });
      state.box = outer;
    }

    function walk(parent, context) {
      for (const node of parent.children) {
        const other = (kind) => add(node, kind, context);
        if (node.matches(NOTHING)) continue;
        if (/^H[1-5]$/.test(node.tagName)) {
          Object.assign(state, { heading: node, exercise: null, solution: null, fresh: true });
        } else if (node.matches("div.cell")) cell(node, context);
        else if (node.matches("div.math")) other("equation");
        else if (node.matches("p")) prose(node, context);
        else if (node.matches(BOX)) box(node, context);
        else if (node.matches("section, ul, ol, dl, aside, div.compound")) walk(node, context);
        else if (node.matches("li, dd, dt")) {
          if (node.querySelector(":scope > :is(p, ul, ol, div)")) walk(node, context);
          else prose(node, context);
        } else if (node.matches("[class*=highlight-]")) other("code");
        else if (node.matches(TABLE)) other("table");
        else if (node.matches("figure, img")) other("figure");
        else if (node.innerText.trim()) other("text");
      }
    }

    walk(article, { full: false, skip: false, folds: [] });
    return units;
  };
})();
