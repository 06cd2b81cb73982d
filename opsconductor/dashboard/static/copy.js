// Everything can be selected and copied without this: it puts a button at each text that is meant to be copied.
"use strict";
(() => {
  const SAYS = "Copy", DONE = "Copied";
  const open = new Set();
  const furnish = () => {
    for (const text of document.querySelectorAll("pre.copy:not([data-copied])")) {
      text.dataset.copied = "";
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copier";
      button.textContent = SAYS;
      text.before(button);
    }
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  };
  // A browser gives a page without TLS no clipboard: then the text is selected, and the keyboard copies it.
  const copy = async (button) => {
    const text = button.nextElementSibling;
    getSelection().selectAllChildren(text);
    try { await navigator.clipboard.writeText(text.textContent); } catch { return; }
    button.textContent = DONE;
    setTimeout(() => { button.textContent = SAYS; }, 2000);
  };
  document.addEventListener("click", (event) => {
    if (event.target.matches?.("button.copier")) copy(event.target);
  });
  document.addEventListener("toggle", (event) => {
    const act = event.target;
    if (act.matches?.("details.act")) act.open ? open.add(act.id) : open.delete(act.id);
  }, true);
  // The page is taken in anew when something happened.
  new MutationObserver(furnish).observe(document.getElementById("main"), { childList: true });
  furnish();
})();
