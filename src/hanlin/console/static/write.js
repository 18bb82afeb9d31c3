// The page of an endpoint that writes: sends what was typed to one endpoint or two, stops them, shows the call as code.
"use strict";

(() => {
  const form = document.getElementById("write");
  const said = document.getElementById("said");
  const [send, stop, anew] = ["send", "stop", "anew"].map((id) => document.getElementById(id));
  const { kind, beside, schema, tools, form: answerForm } = form.elements;
  const words = JSON.parse(form.dataset.words);
  const NEAR = 40; // pixels from the end of a log within which it follows what is written
  let running = null; // AbortController of what is being written

  // One endpoint with the talk it has had.
  class Side {
    constructor(place) {
      this.section = document.getElementById(`side-${place}`);
      this.title = document.getElementById(`name-${place}`);
      this.log = this.section.querySelector(".log-box");
      this.chances = this.section.querySelector(".chances");
      this.begin("");
    }

    begin(endpoint) {
      this.endpoint = endpoint;
      this.turns = [];
      this.last = null; // the answer whose tools wait for theirs
      this.title.textContent = endpoint;
      this.section.hidden = !endpoint;
      this.log.replaceChildren();
      this.chances.replaceChildren();
    }

    // What the next call tells beside the turns before.
    next(text) {
      return [...(this.last?.answers || []), ...(text.trim() ? [{ role: "user", content: text }] : [])];
    }

    async write(text, signal) {
      const turns = this.turns; // a new talk may have begun when this answer ends
      const told = this.next(text);
      const call = WritingCall.make(form, this.endpoint, [...turns, ...told], text);
      const turn = new WritingTurn(this.log, this.chances, words, text);
      this.log.scrollTop = this.log.scrollHeight;
      try {
        for await (const data of WritingCall.ask(this.endpoint, kind.value, call, signal)) {
          const isFollowing = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR;
          turn.hear(data);
          if (isFollowing) this.log.scrollTop = this.log.scrollHeight;
        }
        if (turn.hasEnded) turn.end();
        else turn.fail(words.broken, "");
      } catch (error) {
        if (error.name === "AbortError") turn.end(words.stopped);
        else turn.fail(error instanceof WritingCall.Refused ? error.message : words.broken, error.next);
      }
      const isKept = turn.hasEnded || (signal.aborted && turn.text && !turn.tools.size);
      if (!isKept || turns !== this.turns) return;
      turns.push(...told, turn.message);
      this.last = turn;
    }
  }

  const sides = ["first", "second"].map((place) => new Side(place));

  function begin() {
    running?.abort();
    sides[0].begin(form.dataset.endpoint);
    sides[1].begin(beside.value);
    fit();
    document.getElementById("sides").classList.toggle("is-two", Boolean(beside.value));
    for (const box of form.querySelectorAll("[data-label]")) box.hidden = box.dataset.label !== kind.value;
    showCode();
  }

  // Shows what the choices ask for, and whether what must be JSON is.
  function fit() {
    for (const side of sides) side.chances.hidden = !form.elements.chances.checked;
    document.getElementById("schema-box").hidden = answerForm.value !== "json_schema";
    check(schema, answerForm.value === "json_schema", () => true, words.wrong_schema);
    check(tools, kind.value === "chat" && tools.value.trim(), Array.isArray, words.wrong_tools);
  }

  // Whether the field holds JSON that `isRight`, where it is wanted; what is wrong is told where it stands.
  function check(field, isWanted, isRight, problem) {
    let isWrong = false;
    try {
      isWrong = Boolean(isWanted) && !isRight(JSON.parse(field.value));
    } catch {
      isWrong = true;
    }
    field.setCustomValidity(isWrong ? problem : "");
  }

  function showCode() {
    if (!schema.validity.valid || !tools.validity.valid) return;
    const turns = [...sides[0].turns, ...sides[0].next(said.value || "…")];
    const call = WritingCall.make(form, form.dataset.endpoint, turns, said.value || "…");
    for (const [name, text] of Object.entries(WritingCall.codeOf(kind.value, form.dataset.base, call))) {
      document.getElementById(`code-${name}`).textContent = text;
      document.querySelector(`[data-of="code-${name}"]`).dataset.copy = text;
    }
  }

  function showRunning(isRunning) {
    send.hidden = isRunning;
    stop.hidden = !isRunning;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = said.value;
    const asked = sides.filter((side) => side.endpoint && side.next(text).length);
    if (running || !asked.length) return;
    const mine = (running = new AbortController());
    if (kind.value === "chat") said.value = "";
    showRunning(true);
    await Promise.all(asked.map((side) => side.write(text, mine.signal)));
    running = null;
    const wasHere = document.activeElement === stop || document.activeElement === document.body;
    showRunning(false);
    if (wasHere) said.focus();
    showCode();
  });

  said.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  form.addEventListener("invalid", () => document.getElementById("how").open = true, true); // a closed field cannot say what is wrong
  stop.addEventListener("click", () => running?.abort());
  anew.addEventListener("click", () => {
    begin();
    said.focus();
  });
  for (const choice of [kind, beside]) choice.addEventListener("change", begin);
  form.addEventListener("input", () => {
    fit();
    showCode();
  });
  begin();
})();
