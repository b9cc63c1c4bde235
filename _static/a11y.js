// A control's accessible name must contain the text that is seen on it: drop labels that do not.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("details > summary[aria-label], .search-button__button[aria-label], .search-button-field[aria-label]").forEach((control) => {
    if (control.innerText.trim()) control.removeAttribute("aria-label");
  });
  // What scrolls must be reachable by keyboard: wide equations, tables and code.
  document.querySelectorAll("div.math, .pst-scrollable-table-container, div.highlight pre").forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  });
});
