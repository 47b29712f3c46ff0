// What scrolls sideways (wide formulas and tables) can be reached and scrolled by the keyboard.
{
  const wide = ".bd-article :is(div.math, mjx-container, .text_html, .pst-scrollable-table-container)";
  const mark = () => {
    for (const element of document.querySelectorAll(wide)) {
      if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  };
  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("toggle", mark, true); // a solution that opens
  window.addEventListener("resize", mark);
}

// A page opened from disk may not read others, so that search results come without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
