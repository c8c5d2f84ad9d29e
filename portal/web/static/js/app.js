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

  // A link of the error summary goes to its field, not only to its place on the page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".error-summary a");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    field.scrollIntoView({ block: "center" });
    (field.matches("fieldset") ? field.querySelector("input") || field : field).focus({ preventScroll: true });
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
  const tab = document.querySelector(".tabs [aria-current]");
  if (tab) tab.scrollIntoView({ inline: "center", block: "nearest" });

  document.addEventListener("htmx:load", (event) => arrive(event.detail.elt));
  arrive(document);
})();
