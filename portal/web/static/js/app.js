// Conveniences only: every page works without them.
(() => {
  "use strict";
  const persian = document.documentElement.lang === "fa";

  // Copy buttons stay hidden until there is a script to serve them.
  const reveal = (root) => {
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    const label = button.querySelector("[data-label]") || button;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      label.textContent = persian ? "رونوشت شد" : "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      label.textContent = persian ? "برگزیده شد" : "Selected";
    }
    window.setTimeout(() => { label.textContent = persian ? "رونوشت" : "Copy"; }, 2000);
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // Menus close on Escape and on a click elsewhere.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector("details.menu[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

  const arrive = (root) => {
    reveal(root);
    const summary = root.querySelector(".error-summary");
    if (summary) summary.focus();
  };
  document.addEventListener("htmx:load", (event) => arrive(event.detail.elt));
  arrive(document);
})();
