let bookIsPrinting = false; // solutions that open for the printer must not size formulas for the screen

// Formulas and tables shrink, step by step, until each fits its room: a browser rounds the ex of a
// font, so that half the size is not half the width. Returned are those too wide at the least size.
function shrink(elements, room, least, property) {
  const isWide = (element) => {
    const drawn = (element.querySelector("svg") ?? element).getBoundingClientRect().width;
    const needed = parseFloat(getComputedStyle(element).minWidth); // of a formula with its number
    return (needed || drawn) > room(element) + 1;
  };
  for (const element of elements) if (element.style[property]) element.style[property] = "";
  let wide = elements.filter(isWide);
  for (let size = 95; wide.length && size >= least; size -= 5) {
    for (const element of wide) element.style[property] = `${size}%`;
    wide = wide.filter(isWide);
  }
  return wide;
}

// What scrolls sideways (wide formulas and tables) can be reached and scrolled by the keyboard.
{
  const scrollable = "article :is(div.math, mjx-container, .text_html, .table-wrapper, pre)";
  // A section at a time, so that a long chapter does not keep a phone from its reader. Each step
  // first reads all widths and then changes what follows from them: a change between two readings
  // has the section laid out anew.
  const mark = () => {
    const sections = new Map();
    for (const element of document.querySelectorAll(scrollable)) {
      const section = element.closest("section");
      if (!sections.has(section)) sections.set(section, []);
      sections.get(section).push(element);
    }
    for (const elements of sections.values()) setTimeout(() => markAll(elements));
  };
  const markAll = (elements) => {
    if (!bookIsPrinting) {
      const formulas = elements.filter((element) => element.matches("mjx-container[display]"));
      fit(formulas, (formula) => formula.parentElement.clientWidth, 55, "fontSize");
      const boxes = elements.filter((element) => element.matches(".text_html"));
      const tables = boxes.flatMap((box) => [...box.querySelectorAll("table.dataframe")]);
      fit(tables, (table) => table.closest(".text_html").clientWidth, 75, "zoom");
    }
    const scrolls = elements.map((element) => element.scrollWidth > element.clientWidth);
    elements.forEach((element, i) => {
      if (scrolls[i]) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    });
  };
  // What is a little too wide shrinks until it fits; what is much wider keeps its size and scrolls.
  const fit = (elements, room, least, property) => {
    for (const element of shrink(elements, room, least, property)) element.style[property] = "";
  };
  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("toggle", mark, true); // a solution that opens
  window.addEventListener("resize", mark);
  window.addEventListener("afterprint", () => ((bookIsPrinting = false), mark()));
}

// A page opened from disk may not read others, so that search results come without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Before printing, live figures take the colours for paper, as the theme does, solutions open, and
// formulas that are wider than the paper shrink to it.
{
  const paper = 640; // CSS pixels of text across A4
  const opened = [];
  window.addEventListener("beforeprint", () => {
    bookIsPrinting = true;
    document.documentElement.dataset.theme = "light"; // live figures look here first
    for (const details of document.querySelectorAll("details:not([open])")) {
      details.open = true;
      opened.push(details);
    }
    shrink([...document.querySelectorAll("mjx-container[display]")], () => paper, 30, "fontSize");
  });
  window.addEventListener("afterprint", () => {
    delete document.documentElement.dataset.theme;
    for (const details of opened.splice(0)) details.open = false;
  });
}
