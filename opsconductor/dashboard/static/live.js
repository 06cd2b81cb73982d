// Everything works without this: it shows times in the viewer's zone, and takes in the page anew when something happened.
"use strict";
(() => {
  // Sweden writes 2026-11-21 22:19:05, which nobody reads as another day; English names of months go with the page.
  const zone = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
  const forms = {
    tick: new Intl.DateTimeFormat("en-GB", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }),
  };
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const instant = new Date(time.dateTime);
      if (!Number.isNaN(instant.valueOf())) {
        time.title = time.textContent;
        time.textContent = (forms[time.dataset.form] || zone).format(instant);
      }
    }
    for (const name of root.querySelectorAll(".viewer-zone")) name.textContent = zone.resolvedOptions().timeZone;
  };
  localise(document);

  // Whoever types, or has selected something to copy, keeps it; whoever goes by keyboard stays where they are.
  const inUse = (part) => {
    const at = document.activeElement, chosen = getSelection();
    if (part.contains(at) && at.matches("input, select, textarea")) return true;
    return !chosen.isCollapsed && part.contains(chosen.anchorNode);
  };
  const placeOf = (part) => {
    const at = document.activeElement;
    if (!part.contains(at)) return null;
    if (at.id) return `#${CSS.escape(at.id)}`;
    return at.hasAttribute("href") ? `a[href="${CSS.escape(at.getAttribute("href"))}"]` : null;
  };

  // What somebody has opened stays open, and what they have closed is not opened again. A summary may say how it goes.
  const folded = (root) => {
    const found = new Map();
    for (const one of root.querySelectorAll("details")) {
      const said = one.querySelector("summary [id]")?.id ?? one.querySelector("summary")?.textContent.trim();
      const place = `${one.closest("section")?.getAttribute("aria-labelledby")} ${said}`;
      if (!found.has(place)) found.set(place, one);
    }
    return found;
  };
  const keepFolded = (now, then) => {
    const before = folded(now);
    for (const [place, one] of folded(then)) if (before.has(place)) one.open = before.get(place).open;
  };

  let asking = false, again = false, waiting = 0;
  const refresh = async () => {
    if (follows) return;
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) { if (answer.status >= 500) stale(); else gone(answer.status); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      localise(page);
      for (const id of ["main", "live"]) {
        const now = document.getElementById(id), then = page.getElementById(id);
        // What somebody is reading stays as it is until it has changed, and what they are doing until it is done.
        if (!now || !then) continue;
        keepFolded(now, then);
        if (now.innerHTML === then.innerHTML) continue;
        if (inUse(now)) { clearTimeout(waiting); waiting = setTimeout(refresh, 2000); continue; }
        const focused = placeOf(now);
        now.replaceChildren(...then.childNodes);
        if (focused) now.querySelector(focused)?.focus({ preventScroll: true });
      }
      if (events && events.readyState === EventSource.OPEN) fresh();
      else if (alone) warn("alone", "This page is not told when something happens (so many may be at once): it is taken in anew every 30 seconds.");
    } catch {
      stale();
    } finally {
      asking = false;
      if (again) { again = false; refresh(); }
    }
  };
  // A busy engine tells something four times a second, and tells it to every page that is open: each asks at most every
  // two seconds, and not all at the same moment.
  const least = 2000, spread = 500;
  let taken = -Infinity, due = 0;
  const soon = () => {
    if (due) return;
    const pause = Math.max(0, taken + least - performance.now()) + Math.random() * spread;
    due = setTimeout(() => { due = 0; taken = performance.now(); refresh(); }, pause);
  };
  const fresh = () => {
    delete document.documentElement.dataset.stale;
    document.getElementById("stale")?.remove();
  };
  // What is said stands as it was first said: since when it is so.
  const warn = (kind, text) => {
    let said = document.getElementById("stale");
    if (said?.dataset.kind === kind) return;
    if (!said) {
      said = document.createElement("p");
      said.id = "stale";
      said.setAttribute("role", "alert");
      document.querySelector("header").after(said);
    }
    said.dataset.kind = kind;
    said.textContent = text;
    if (kind === "alone") delete document.documentElement.dataset.stale;
    else document.documentElement.dataset.stale = "true";
  };
  const since = () => zone.format(new Date());
  const stale = () => warn("away", `Not connected since ${since()}: what stands here is from before.`);
  const gone = (status) => warn(`status ${status}`, status === 404
    ? `Gone since ${since()}: there is no such page any more, retention may have removed what it showed. What stands here is from before.`
    : `Refused since ${since()} (status ${status}): what stands here is from before. Load the page again.`);
  // A log sees to itself, and tells.
  const follows = document.querySelector("[data-follows]");
  document.addEventListener("gone", (event) => gone(event.detail));
  document.addEventListener("away", stale);
  document.addEventListener("here", fresh);

  // A browser allows six connections to a host, over all its tabs: a page that nobody sees holds none.
  // `alone`: there was no room to follow, or whoever is between has no way for it; then the clock is all there is.
  let events = null, first = true, alone = false;
  const close = () => { if (events) { events.close(); events = null; } };
  const open = () => {
    if (events || document.hidden) return;
    events = new EventSource("/events");
    events.addEventListener("open", () => {
      alone = false;
      if (!first) refresh();
      first = false;
    });
    events.addEventListener("changed", soon);
    events.addEventListener("error", () => {
      first = false;
      // The browser tries again by itself, but not after an answer such as 503: that says for how long, and not to us.
      if (!events || events.readyState !== EventSource.CLOSED) { if (!follows) stale(); return; }
      close();
      alone = true;
      setTimeout(open, 30000);
      refresh();
    });
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else { first = false; open(); } });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
  // What only time makes true, such as a run that is late, is in no event.
  setInterval(() => { if (!document.hidden) refresh(); }, 30000);
})();
