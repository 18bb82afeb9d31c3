// One answer while it is being written: its text, what the tokens' chances were, its tool calls, its figures. All of it is foreign text.
"use strict";

const WritingTurn = (() => {
  const UNSURE = [0.1, 0.5]; // chances below which a token is marked, strongly and lightly

  function add(parent, kind, name, text = "") {
    const made = document.createElement(kind);
    made.className = name;
    made.textContent = text;
    parent.append(made);
    return made;
  }

  function filled(words, values) {
    return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  function percent(log) {
    return `${(100 * Math.exp(log)).toFixed(1)}\u202f%`;
  }

  function visible(token) {
    return token.replaceAll("\n", "⏎").replaceAll(" ", "␣") || "∅";
  }

  // Tokens of a chunk with their chances, whichever of the two forms it has.
  function tokensOf(chances) {
    if (!chances) return [];
    if (chances.content) {
      return chances.content.map((each) => ({ text: each.token, log: each.logprob, others: each.top_logprobs.map((one) => [one.token, one.logprob]) }));
    }
    const others = chances.top_logprobs || [];
    return chances.tokens.map((text, place) => ({ text, log: chances.token_logprobs[place], others: Object.entries(others[place] || {}) }));
  }

  class Turn {
    // `log` is where it is drawn, `chances` where a token's chances are told, `words` in the visitor's language.
    constructor(log, chances, words, said) {
      this.words = words;
      this.chances = chances;
      this.text = "";
      this.tools = new Map(); // by index: { id, name, arguments, box, answer }
      this.tokens = []; // drawn, with their chances
      this.finish = this.usage = null;
      this.hasEnded = false;
      this.begun = performance.now();
      this.first = this.last = 0;
      const box = add(log, "article", "turn");
      add(box, "h3", "sr", words.you);
      if (said) add(box, "p", "said", said);
      add(box, "h3", "sr", words.answer);
      this.box = add(box, "div", "written-box");
      this.written = add(this.box, "p", "written");
      this.written.setAttribute("aria-busy", "true");
      this.note = add(this.box, "p", "turn-note", words.waiting);
    }

    // The data of one event.
    hear(data) {
      if (data === "[DONE]") {
        this.hasEnded = true;
        return;
      }
      const told = JSON.parse(data);
      if (told.error) throw new WritingCall.Refused(told.error);
      this.usage = told.usage || this.usage;
      for (const choice of told.choices) this.#take(choice);
    }

    #take(choice) {
      const text = choice.text ?? choice.delta.content ?? "";
      const tokens = tokensOf(choice.logprobs);
      if (text || tokens.length) this.#write(text, tokens);
      for (const call of choice.delta?.tool_calls || []) this.#call(call);
      this.finish = choice.finish_reason || this.finish;
    }

    #write(text, tokens) {
      this.#mark();
      this.text += text;
      if (!tokens.length) this.written.append(text);
      else if (tokens.map((token) => token.text).join("") === text) for (const token of tokens) this.#draw(token.text, [token]);
      else this.#draw(text, tokens); // tokens that share a character, or wait for one
    }

    #draw(text, tokens) {
      const least = Math.exp(Math.min(...tokens.map((token) => token.log)));
      const made = add(this.written, "span", `token${least < UNSURE[0] ? " is-rare" : least < UNSURE[1] ? " is-unsure" : ""}`, text);
      this.tokens.push({ made, tokens });
      if (this.tokens.length === 1) this.#listen();
    }

    #listen() {
      const { written, tokens } = this;
      let at = -1;
      const show = (place) => {
        if (!tokens[place]) return;
        tokens[at]?.made.classList.remove("is-shown");
        at = place;
        tokens[at].made.classList.add("is-shown");
        this.#tell(tokens[at].tokens);
      };
      const point = (event) => show(tokens.findIndex((each) => each.made === event.target));
      written.tabIndex = 0;
      written.setAttribute("role", "group");
      written.setAttribute("aria-label", this.words.chances);
      written.addEventListener("pointerover", point);
      written.addEventListener("click", point);
      written.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        show(Math.max(0, Math.min(tokens.length - 1, at + step)));
      });
    }

    #tell(tokens) {
      this.chances.replaceChildren();
      for (const token of tokens) {
        const list = add(this.chances, "dl", "chance-list");
        const row = (text, log, name) => {
          const line = add(list, "div", name);
          add(line, "dt", "mono", visible(text));
          add(line, "dd", "", percent(log));
        };
        row(token.text, token.log, "is-taken");
        for (const [text, log] of token.others) if (text !== token.text) row(text, log, "");
      }
    }

    #call(call) {
      this.#mark();
      if (!this.tools.has(call.index)) {
        const figure = add(this.box, "figure", "tool-call");
        add(figure, "figcaption", "", this.words.tool);
        const box = add(figure, "pre", "code");
        const label = add(figure, "label", "", this.words.tool_answer);
        const answer = add(label, "input", "");
        answer.type = "text";
        this.tools.set(call.index, { id: call.id, name: "", arguments: "", box, answer });
        this.note.before(figure);
      }
      const tool = this.tools.get(call.index);
      tool.name += call.function?.name || "";
      tool.arguments += call.function?.arguments || "";
      tool.box.textContent = `${tool.name}(${tool.arguments})`;
    }

    #mark() {
      this.last = performance.now();
      if (this.first) return;
      this.first = this.last;
      this.note.textContent = this.#figures();
    }

    #figures() {
      const parts = [];
      if (this.first) parts.push(filled(this.words.first, { ms: Math.round(this.first - this.begun) }));
      if (this.usage) {
        const { prompt_tokens: read, completion_tokens: written } = this.usage;
        if (written > 1 && this.last > this.first) {
          parts.push(filled(this.words.speed, { rate: ((1000 * (written - 1)) / (this.last - this.first)).toFixed(1) }));
        }
        parts.push(filled(this.words.tokens, { read, written }));
      }
      return parts.join(" · ");
    }

    // The turn as the next call tells it.
    get message() {
      const calls = [...this.tools.values()].map((tool) => {
        return { id: tool.id, type: "function", function: { name: tool.name, arguments: tool.arguments } };
      });
      return { role: "assistant", content: this.text || !calls.length ? this.text : null, ...(calls.length ? { tool_calls: calls } : {}) };
    }

    // What the visitor says that its tools answered, as messages.
    get answers() {
      return [...this.tools.values()].map((tool) => ({ role: "tool", tool_call_id: tool.id, content: tool.answer.value }));
    }

    // It is over; `why` is a word of its own for an end that the model did not choose.
    end(why = "") {
      this.written.removeAttribute("aria-busy");
      const ends = { length: this.words.length, tool_calls: this.words.tool_calls };
      this.note.textContent = [why || ends[this.finish] || "", this.#figures()].filter(Boolean).join(" · ");
    }

    // It has failed, with what is told of it.
    fail(message, next) {
      this.end();
      const problem = add(this.box, "div", "problem-box");
      problem.setAttribute("role", "alert");
      add(problem, "p", "", message);
      if (next) add(problem, "p", "", next);
    }
  }

  return Turn;
})();
