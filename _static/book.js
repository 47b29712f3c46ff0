let bookIsPrinting = false; // solutions that open for the printer must not size formulas for the screen

// What scrolls sideways (wide formulas and tables) can be reached and scrolled by the keyboard.
{
  const wide = ".bd-article :is(div.math, mjx-container, .text_html, .pst-scrollable-table-container)";
  // A formula that is a little too wide shrinks to fit; a much wider one scrolls.
  const fit = (element) => {
    if (bookIsPrinting || !element.matches("mjx-container[display]")) return;
    if (element.style.fontSize) element.style.fontSize = "";
    const share = element.parentElement.clientWidth / element.scrollWidth;
    if (share < 1 && share > 0.7) element.style.fontSize = `${Math.floor(98 * share)}%`;
  };
  const mark = (element) => {
    fit(element);
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  };
  const all = (act) => document.querySelectorAll(wide).forEach(act);
  // Each as it comes near, since a look at its width lays out all that is above it; at the first
  // key all of them, for the tab key stops at those that scroll.
  const near = (entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) watch.unobserve(target), mark(target);
  };
  const watch = new IntersectionObserver(near, { rootMargin: "100% 0px" });
  const start = () => all((element) => watch.observe(element));
  document.addEventListener("DOMContentLoaded", start);
  document.addEventListener("keydown", () => all(mark), { once: true, capture: true });
  window.addEventListener("resize", start);
  window.addEventListener("afterprint", () => ((bookIsPrinting = false), start()));
}

// A page opened from disk may not read others, so that search results come without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Before printing, colours are those for paper, solutions open, and formulas that are wider than the
// paper shrink to it.
{
  const paper = 640; // CSS pixels of text across A4
  const opened = [], page = document.documentElement;
  let theme = page.dataset.theme;
  window.addEventListener("beforeprint", () => {
    bookIsPrinting = true;
    theme = page.dataset.theme;
    page.dataset.theme = "light"; // live figures follow
    for (const details of document.querySelectorAll("details:not([open])")) {
      details.open = true;
      opened.push(details);
    }
    for (const formula of document.querySelectorAll("mjx-container[display]")) {
      formula.style.fontSize = "";
      const width = () => {
        const drawn = formula.querySelector("svg").getBoundingClientRect().width;
        const least = parseFloat(getComputedStyle(formula).minWidth) || drawn;
        return Math.max(least, formula.scrollWidth > formula.clientWidth ? drawn : 0);
      };
      // step by step: a browser rounds the ex of a font, so that half the size is not half the width
      for (let size = 95; width() > paper && size >= 30; size -= 5)
        formula.style.fontSize = `${size}%`;
    }
  });
  window.addEventListener("afterprint", () => {
    page.dataset.theme = theme;
    for (const details of opened.splice(0)) details.open = false;
  });
}
