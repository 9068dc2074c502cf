// Keeps an open page up to date. Without it, or without server-sent events, the
// page is as it was loaded.
"use strict";

(() => {
  const two = (n, unit, m, smaller) => (m === 0 ? `${n} ${unit}` : `${n} ${unit} ${m} ${smaller}`);

  // took and ago say times as the server does.
  const took = (ms) => {
    const s = Math.round(Math.max(0, ms) / 1000);
    if (ms < 1000) return `${Math.round(Math.max(0, ms))} ms`;
    if (ms < 10000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
    if (s < 60) return `${s} s`;
    if (s < 3600) return two(Math.floor(s / 60), "m", s % 60, "s");
    if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "m");
    return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
  };
  const ago = (ms) => {
    const s = Math.floor(Math.abs(ms) / 1000);
    const unit = (n, name) => (ms < 0 ? `in ${n} ${name}${n === 1 ? "" : "s"}` : `${n} ${name}${n === 1 ? "" : "s"} ago`);
    if (s < 5) return "just now";
    if (s < 60) return unit(s, "second");
    if (s < 3600) return unit(Math.floor(s / 60), "minute");
    if (s < 2 * 86400) return unit(Math.floor(s / 3600), "hour");
    return unit(Math.floor(s / 86400), "day");
  };

  // The server's clock counts, not this machine's.
  const asOf = document.getElementById("as-of");
  let ahead = asOf ? Date.parse(asOf.dateTime) - Date.now() : 0;
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    const now = Date.now() + ahead;
    for (const t of document.querySelectorAll("time[data-ago]")) say(t, ago(now - Date.parse(t.dateTime)));
    for (const t of document.querySelectorAll("[data-since]")) say(t, took(1000 * Math.round((now - Date.parse(t.dataset.since)) / 1000)));
  };
  if (asOf) setInterval(tick, 1000);

  // busy says that somebody is writing into a part of the page.
  const busy = (part) => [...part.querySelectorAll("input:not([type=hidden]), textarea, select")].some(
    (field) => field === document.activeElement || ("defaultValue" in field && field.value !== field.defaultValue));

  // replace puts the new part in the place of the old one, and keeps what is open
  // and where the focus is.
  const replace = (old, fresh) => {
    const open = new Set([...old.querySelectorAll("details[open]")].map((d) => d.dataset.key));
    const scrolled = [...old.querySelectorAll("pre")].map((p) => p.scrollTop);
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    const key = active && (active.closest("details")?.dataset.key ?? active.getAttribute("href"));
    for (const d of fresh.querySelectorAll("details")) d.open = open.has(d.dataset.key);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll("pre").forEach((p, i) => { p.scrollTop = scrolled[i] ?? 0; });
    if (!key) return;
    const again = [...old.querySelectorAll("details > summary, a[href]")].find(
      (e) => (e.parentElement.dataset.key ?? e.getAttribute("href")) === key);
    if (again) again.focus({ preventScroll: true });
  };

  let stale = false;
  let loading = false;
  const refresh = async () => {
    if (loading) { stale = true; return; }
    loading = true;
    stale = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.redirected) { location.reload(); return; } // the login has ended
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const fresh of page.querySelectorAll("[data-live]")) {
        const old = document.querySelector(`[data-live="${fresh.dataset.live}"]`);
        if (!old) continue;
        if (busy(old)) stale = true;
        else replace(old, fresh);
      }
      const time = page.getElementById("as-of");
      if (asOf && time) {
        ahead = Date.parse(time.dateTime) - Date.now();
        asOf.dateTime = time.dateTime;
        say(asOf, time.textContent);
      }
      document.title = page.title;
    } catch {
      // The server is away. The stream comes back with it.
    } finally {
      loading = false;
    }
  };
  document.addEventListener("focusout", () => { if (stale) setTimeout(refresh, 300); });

  const seen = document.body.dataset.seen;
  if (!seen || !window.EventSource) return;
  const of = location.pathname + location.search;
  let stream = null;
  let latest = seen;
  const listen = () => {
    stream = new EventSource(`/-/page/events?of=${encodeURIComponent(of)}&seen=${encodeURIComponent(latest)}`);
    stream.addEventListener("changed", (event) => { latest = event.data; refresh(); });
  };
  // A page that nobody looks at asks for nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { stream?.close(); stream = null; } else if (!stream) listen();
  });
  addEventListener("pagehide", () => { stream?.close(); stream = null; });
  if (!document.hidden) listen();
})();
