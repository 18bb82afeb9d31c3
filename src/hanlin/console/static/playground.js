// Asks the endpoint while someone types: after a short pause, and never in the middle of composing a character (pinyin and the like).
"use strict";

(() => {
  const PAUSE_MS = 250;
  const form = document.getElementById("play");
  const text = document.getElementById("text");
  const beside = document.getElementById("query") || document.getElementById("pair"); // what the text is held against, where it is
  let timer = 0;

  function ask() {
    clearTimeout(timer);
    htmx.trigger(form, "classify");
  }

  function askSoon() {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  }

  for (const field of beside ? [text, beside] : [text]) {
    field.addEventListener("input", (event) => {
      if (event.isComposing) clearTimeout(timer);
      else askSoon();
    });
    field.addEventListener("compositionend", askSoon);
  }
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) ask();
  });

  form.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-example]");
    if (!chip) return;
    text.value = chip.dataset.example;
    text.focus();
    ask();
  });

  if (text.value.trim()) askSoon(); // the browser kept a text over a reload
})();
