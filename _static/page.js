// What the theme leaves undone: names of controls, and boxes that are wider than the screen.
document.addEventListener("DOMContentLoaded", () => {
  // Opened as a file, a page may not read other pages: the search then shows titles without excerpts.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  // A control's accessible name must contain the text that is seen on it: drop labels that do not.
  const labelled = "details > summary[aria-label], .search-button__button[aria-label], .search-button-field[aria-label]";
  document.querySelectorAll(labelled).forEach((control) => {
    if (control.innerText.trim()) control.removeAttribute("aria-label");
  });

  // A box that scrolls sideways can be reached by keyboard, and fades at the side where it goes on.
  const boxes = "div.math > mjx-container, .pst-scrollable-table-container, div.highlight pre";
  const judge = (box) => {
    const hidden = box.scrollWidth - box.clientWidth;
    box.classList.toggle("rf-more", hidden > 1 && box.scrollLeft < hidden - 1);
    if (hidden > 1) box.tabIndex = 0;
  };
  const judgeAll = () => {
    if (document.documentElement.classList.contains("rf-projecting")) return;  // on slides nothing scrolls
    document.querySelectorAll(boxes).forEach((box) => {
      judge(box);
      box.onscroll = () => judge(box);
    });
  };
  window.addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(judgeAll));
  window.addEventListener("resize", judgeAll);
  matchMedia("print").addEventListener("change", judgeAll);  // on paper nothing scrolls, and the theme says so
  document.addEventListener("toggle", judgeAll, true);  // folded parts have no width until they are opened
  document.addEventListener("click", () => requestAnimationFrame(judgeAll));
});
