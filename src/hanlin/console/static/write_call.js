// What the form asks for as a call of OpenAI's API, that call as code, and its answer as events. Draws nothing.
"use strict";

const WritingCall = (() => {
  const NUMBERS = ["temperature", "top_p", "max_tokens", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty"];
  const TEXT_TOKENS = 256; // where a text is gone on with: completions write 16 by themselves
  const OURS = ["repetition_penalty"]; // fields that OpenAI's client does not know
  const PATHS = { chat: "/v1/chat/completions", text: "/v1/completions" };

  // The fields that say how it is written. Here and in `make` what is no JSON throws a SyntaxError.
  function settingsOf(form, kind) {
    const fields = form.elements;
    const call = {};
    for (const name of NUMBERS) if (fields[name].value !== "") call[name] = Number(fields[name].value);
    if (kind === "text" && call.max_tokens === undefined) call.max_tokens = TEXT_TOKENS;
    const stop = fields.stop_words.value.split("\n").filter((line) => line !== "");
    if (stop.length) call.stop = stop;
    if (fields.chances.checked) {
      const others = Number(fields.likeliest.value);
      Object.assign(call, kind === "chat" ? { logprobs: true, top_logprobs: others } : { logprobs: others });
    }
    if (fields.form.value === "json_object") call.response_format = { type: "json_object" };
    if (fields.form.value === "json_schema") {
      call.response_format = { type: "json_schema", json_schema: { name: "answer", schema: JSON.parse(fields.schema.value) } };
    }
    return call;
  }

  // The whole call: of a talk its turns, of a text what was said.
  function make(form, model, turns, said) {
    const kind = form.elements.kind.value;
    const { system, tools } = form.elements;
    const messages = [...(system.value.trim() ? [{ role: "system", content: system.value }] : []), ...turns];
    const asked = kind === "chat" ? { messages, ...(tools.value.trim() ? { tools: JSON.parse(tools.value) } : {}) } : { prompt: said };
    return { model, ...asked, ...settingsOf(form, kind), stream: true, stream_options: { include_usage: true } };
  }

  function python(value, indent = "") {
    if (value === null) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (typeof value !== "object") return JSON.stringify(value);
    const inner = `${indent}    `;
    const [open, close] = Array.isArray(value) ? "[]" : "{}";
    const items = Array.isArray(value)
      ? value.map((each) => python(each, inner))
      : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${python(each, inner)}`);
    return items.length ? `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}` : open + close;
  }

  // { curl, sdk, openai }: the same call for a terminal and for two libraries; keys come from the environment.
  function codeOf(kind, base, call) {
    const body = JSON.stringify(call, null, 2).replaceAll("'", "'\\''");
    const headers = ['-H "Authorization: Bearer $HANLIN_KEY"', "-H 'Content-Type: application/json'"];
    const curl = [`curl -N ${base}${PATHS[kind]}`, ...headers, `-d '${body}'`].join(" \\\n  ");
    const [piece, method] = kind === "chat" ? ['choice["delta"].get("content") or ""', "chat.completions"] : ['choice["text"]', "completions"];
    const sdk = [
      "import json", "", "from hanlin.client import Hanlin", "", `call = ${python(call)}`,
      `with Hanlin(${JSON.stringify(base)}) as hanlin:  # HANLIN_KEY holds the key`,
      `    for message in hanlin.listen(${JSON.stringify(PATHS[kind])}, body=call):`,
      '        for choice in json.loads(message.data)["choices"]:', `            print(${piece}, end="", flush=True)`,
    ].join("\n");
    const known = Object.entries(call).filter(([name]) => !OURS.includes(name));
    const ours = Object.entries(call).filter(([name]) => OURS.includes(name));
    if (ours.length) known.push(["extra_body", Object.fromEntries(ours)]);
    const openai = [
      "import os", "", "from openai import OpenAI", "",
      `client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=os.environ["HANLIN_KEY"])`,
      `stream = client.${method}.create(`, ...known.map(([name, value]) => `    ${name}=${python(value, "    ")},`), ")",
      "for chunk in stream:", "    for choice in chunk.choices:",
      `        print(${kind === "chat" ? 'choice.delta.content or ""' : "choice.text"}, end="", flush=True)`,
    ].join("\n");
    return { curl, sdk, openai };
  }

  // Asks the endpoint and yields the data of each event. Throws a Refused when it is refused, an AbortError when `signal` stops it.
  async function* ask(endpoint, kind, call, signal) {
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
    const response = await fetch(`/console/endpoints/${encodeURIComponent(endpoint)}/write`, {
      method: "POST", headers: { accept: "text/event-stream", "X-CSRF-Token": token }, signal,
      body: new URLSearchParams({ kind, body: JSON.stringify(call) }),
    });
    if (response.status === 401) location.assign("/console/login");
    if (!response.ok) throw new Refused((await response.json()).error);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const line of events.join("\n").split("\n")) if (line.startsWith("data: ")) yield line.slice(6);
    }
  }

  // An error that the server tells of.
  class Refused extends Error {
    constructor(told) {
      super(told.message);
      this.next = told.next || "";
    }
  }

  return { make, codeOf, ask, Refused };
})();
