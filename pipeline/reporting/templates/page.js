"use strict";
(function () {
  const input = document.getElementById("search"), found = document.getElementById("found");
  const hits = Array.from(document.querySelectorAll("[data-hit]"));
  const words = new Map(hits.map((hit) => [hit, hit.textContent.toLowerCase()]));
  const opened = new Set();
  function open(node) {
    for (let at = node.closest("details"); at; at = at.parentElement && at.parentElement.closest("details")) {
      if (!at.open) { at.open = true; opened.add(at); }
    }
  }
  function search(text) {
    const asked = text.trim().toLowerCase();
    opened.forEach((each) => { each.open = false; });
    opened.clear();
    let count = 0;
    for (const hit of hits) {
      const match = !asked || words.get(hit).includes(asked);
      hit.classList.toggle("out", !match);
      if (asked && match) {
        count += 1;
        if (!hit.querySelector("[data-hit]")) open(hit);
      }
    }
    for (const hit of hits) {  // a match inside an element keeps the element
      if (asked && !hit.classList.contains("out")) {
        for (let at = hit.parentElement; at; at = at.parentElement) at.classList.remove("out");
      }
    }
    found.textContent = asked ? (count === 1 ? "1 match" : count + " matches") : "";
  }
  function follow() {
    const hash = location.hash.slice(1);
    if (hash.startsWith("q=")) {
      const asked = decodeURIComponent(hash.slice(2));
      if (input.value !== asked) { input.value = asked; search(asked); }
      return;
    }
    const node = hash && document.getElementById(decodeURIComponent(hash));
    document.querySelectorAll(".here").forEach((each) => each.classList.remove("here"));
    if (!node) return;
    if (node.closest(".out")) { input.value = ""; search(""); }
    open(node);
    node.classList.add("here");
    node.scrollIntoView();
  }
  input.addEventListener("input", () => {
    search(input.value);
    const hash = input.value.trim() ? "#q=" + encodeURIComponent(input.value.trim()) : location.pathname + location.search;
    history.replaceState(null, "", hash);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { input.value = ""; input.dispatchEvent(new Event("input")); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open]):not(.long)").forEach((each) => { each.open = true; opened.add(each); });
  });
  window.addEventListener("afterprint", () => { opened.forEach((each) => { each.open = false; }); opened.clear(); });
  follow();
})();
