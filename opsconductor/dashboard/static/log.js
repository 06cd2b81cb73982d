// Follows a log that still grows: asks for what comes after the last line it has, and so goes on wherever it was cut off.
"use strict";
(() => {
  const log = document.querySelector("[data-follows]");
  if (!log) return;
  const most = 5000, pause = 1000, api = new URL(log.dataset.follows, location.href);
  const line = (found) => {
    const item = document.createElement("li"), anchor = document.createElement("a"), text = document.createElement("span");
    item.id = `L${found.number}`;
    anchor.href = `#L${found.number}`;
    anchor.textContent = found.number;
    text.className = "line";
    for (const piece of found.pieces) {
      const span = document.createElement("span");
      if (/^[a-z0-9 ]*$/.test(piece.classes)) span.className = piece.classes;
      span.textContent = piece.text;
      text.append(span);
    }
    item.append(anchor, text);
    return item;
  };
  const put = (found) => {
    const list = [...log.querySelectorAll("ol")].pop(), there = document.getElementById(`L${found.number}`);
    if (!there) list.append(line(found));
    else if (there.textContent !== line(found).textContent) there.replaceWith(line(found)); // its end has come
  };
  const counting = document.getElementById("counting");
  let last = Number(log.dataset.last);
  const follow = async () => {
    if (document.hidden) { setTimeout(follow, pause); return; }
    try {
      if (!counting) api.searchParams.set("line", last);
      const answer = await fetch(api);
      if (answer.ok) {
        const found = await answer.json();
        if (counting) {
          if (found.window && found.window.whole) { location.reload(); return; }
          counting.textContent = `${Math.floor(found.window.share * 100)} %`;
        } else if (found.window) {
          const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 40;
          for (const one of found.window.lines) if (one.number >= last) put(one);
          last = Math.max(last, ...found.window.lines.map((one) => one.number));
          const items = log.querySelectorAll("li");
          for (let index = 0; index < items.length - most; index++) items[index].remove();
          if (atEnd) scrollTo(0, document.body.scrollHeight);
          if (found.ended && last >= found.window.total) {
            const state = document.getElementById("following");
            if (state) state.textContent = `The run has ended: ${found.state}.`;
            return;
          }
        }
      }
    } catch { /* the engine is away: ask again */ }
    setTimeout(follow, pause);
  };
  follow();
})();
