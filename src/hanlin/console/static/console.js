// Small comforts of every page: copying commands, local times. Pages work without it.
"use strict";

function localiseTimes(root) {
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  for (const item of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(item.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      item.title = item.dateTime;
      item.textContent = form.format(moment);
    }
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button || !navigator.clipboard) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1200);
});

document.addEventListener("htmx:afterSwap", (event) => localiseTimes(event.target));
localiseTimes(document);
