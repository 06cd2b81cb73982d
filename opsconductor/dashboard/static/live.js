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

  let asking = false, again = false;
  const refresh = async () => {
    if (document.querySelector("[data-follows]")) return; // a log sees to itself
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      localise(page);
      for (const id of ["main", "live"]) {
        const now = document.getElementById(id), then = page.getElementById(id);
        // What somebody is reading or has selected stays as it is until it has changed.
        if (now && then && now.innerHTML !== then.innerHTML) now.replaceChildren(...then.childNodes);
      }
    } finally {
      asking = false;
      if (again) { again = false; refresh(); }
    }
  };
  const events = new EventSource("/events");
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => { document.getElementById("live").dataset.stale = "true"; });
  addEventListener("pagehide", () => events.close());
})();
