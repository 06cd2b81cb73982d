// Keys for who prefers them; the page /keys names them all. Where a field is written in, keys are letters.
"use strict";
(() => {
  let going = -Infinity;
  const written = (at) => at.closest("input, textarea, select, [contenteditable]");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || written(event.target)) return;
    const link = (key) => document.querySelector(`[data-go="${CSS.escape(key)}"]`);
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("find").focus();
    } else if (event.key === "?") {
      location.assign("/keys");
    } else if (performance.now() - going < 1500 && link(event.key)) {
      location.assign(link(event.key).getAttribute("href"));
    }
    going = event.key === "g" && performance.now() - going > 1500 ? performance.now() : -Infinity;
  });
})();
