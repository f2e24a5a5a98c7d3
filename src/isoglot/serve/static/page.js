// The page works without this. It says when the server cannot be reached, copies the link, and gives keys to what
// stands on the page anyway.
"use strict";
(() => {
  const body = document.body;
  const find = (id) => document.getElementById(id);
  const say = (text) => { find("status").textContent = text; };
  for (const event of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(event, () => say(body.dataset.gone));
  }

  const show = () => {
    for (const id of ["copy", "show-keys", "keys-dot"]) {
      if (find(id)) find(id).hidden = false;
    }
  };
  document.addEventListener("htmx:afterSettle", show);
  show();

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      say(body.dataset.copied);
    } catch {
      say(body.dataset.notCopied);
    }
  };
  document.addEventListener("click", (event) => {
    if (event.target.id === "copy") copy();
    if (event.target.id === "show-keys") find("keys").showModal();
  });

  // Single keys can be turned off: they are in the way of those who speak to their computer (WCAG 2.1.4).
  const store = {
    get on() { try { return localStorage.getItem("isoglot-keys") !== "off"; } catch { return true; } },
    set on(value) { try { localStorage.setItem("isoglot-keys", value ? "on" : "off"); } catch { /* not kept */ } },
  };
  find("keys-on").checked = store.on;
  find("keys-on").addEventListener("change", (event) => { store.on = event.target.checked; });

  const step = (by) => {
    const results = [...document.querySelectorAll("ol.hits article")];
    const at = results.indexOf(document.activeElement && document.activeElement.closest("ol.hits article"));
    const next = results[Math.max(0, Math.min(results.length - 1, at < 0 ? 0 : at + by))];
    if (next) next.focus();
  };
  const press = (selector) => { const found = document.querySelector(selector); if (found && found.offsetParent) found.click(); };
  const keys = {
    "/": () => find("q") && find("q").select(),
    j: () => step(1),
    k: () => step(-1),
    n: () => press("a[rel=next]"),
    p: () => press("a[rel=prev]"),
    b: () => press("input[name=fair]"),
    s: () => press("input[name=feedback]"),
    c: () => press("#copy"),
    "?": () => find("keys").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || find("keys").open) return;
    if (event.target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]")) return;
    if (!store.on || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
})();
