// Follows a log that still grows: asks for what comes after the last line it has, and so goes on wherever it was cut off.
"use strict";
(() => {
  const log = document.querySelector("[data-follows]");
  if (!log) return;
  const most = 5000, pause = 1000, api = new URL(log.dataset.follows, location.href);
  // Where a line is found whatever comes after it: in its attempt, a little below the top.
  const lasting = (number) => {
    const there = new URL(api);
    there.pathname = location.pathname;
    there.searchParams.set("attempt", attempt);
    there.searchParams.set("line", Math.max(number - 5, 1));
    return `${there.search}#L${number}`;
  };
  let attempt = Number(api.searchParams.get("attempt"));
  const line = (found) => {
    const item = document.createElement("li"), anchor = document.createElement("a"), text = document.createElement("span");
    item.id = `L${found.number}`;
    anchor.href = lasting(found.number);
    anchor.textContent = found.number;
    text.className = "line";
    for (const piece of found.pieces) {
      const span = document.createElement("span");
      if (/^[a-z0-9 ]*$/.test(piece.classes)) span.className = piece.classes;
      span.textContent = piece.text;
      text.append(span);
    }
    item.append(anchor, text);
    if (found.cut) {
      const more = document.createElement("a"), whole = new URL(api);
      whole.pathname = location.pathname.replace(/log$/, "log.txt");
      whole.searchParams.delete("line");
      more.href = whole;
      more.textContent = `… ${found.cut} bytes more in the plain text`;
      text.append(" ", more);
    }
    return item;
  };
  const put = (found) => {
    const list = [...log.querySelectorAll("ol")].pop(), there = document.getElementById(`L${found.number}`);
    if (!there) list.append(line(found));
    else if (there.textContent !== line(found).textContent) there.replaceWith(line(found)); // its end has come
  };
  const counting = document.getElementById("counting"), empty = !log.querySelector("li");
  const tell = (text) => {
    const state = document.getElementById("following");
    if (state) state.textContent = text;
    return state;
  };
  // The number of the attempt that came after this one, if any has: its lines are another log.
  const newer = (found) => found.attempts.find((number) => number > found.attempt);
  const leadOn = (number) => {
    const link = document.createElement("a"), there = new URL(api);
    there.pathname = location.pathname;
    there.searchParams.delete("line");
    there.searchParams.set("attempt", number);
    link.href = there;
    link.textContent = "Look at it";
    tell(`Attempt ${number} has begun. `)?.append(link);
  };
  let last = Number(log.dataset.last);
  const follow = async () => {
    if (document.hidden) { setTimeout(follow, pause); return; }
    try {
      if (!counting && !empty) api.searchParams.set("line", last);
      const answer = await fetch(api);
      if (answer.status >= 400 && answer.status < 500) { // such as one whose run retention has removed
        document.dispatchEvent(new CustomEvent("gone", { detail: answer.status }));
        tell("Nothing comes any more.");
        return;
      }
      document.dispatchEvent(new CustomEvent(answer.ok ? "here" : "away"));
      if (answer.ok) {
        const found = await answer.json();
        if (counting) {
          if (found.window && found.window.whole) { location.reload(); return; }
          counting.textContent = `${Math.floor(found.window.share * 100)} %`;
        } else if (empty) {
          if (found.ended || found.window?.lines.length || newer(found)) { location.reload(); return; }
        } else if (found.window) {
          const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 40;
          for (const one of found.window.lines) if (one.number >= last) put(one);
          last = Math.max(last, ...found.window.lines.map((one) => one.number));
          const items = log.querySelectorAll("li");
          for (let index = 0; index < items.length - most; index++) items[index].remove();
          if (atEnd) scrollTo(0, document.body.scrollHeight);
          if (found.window.whole && last >= found.window.total && (found.ended || newer(found))) {
            if (newer(found)) leadOn(newer(found));
            else tell(`The run has ended: ${found.state}.`);
            return;
          }
        }
      }
    } catch { // the engine is away: ask again
      document.dispatchEvent(new CustomEvent("away"));
    }
    setTimeout(follow, pause);
  };
  follow();
})();
