// OpenAI's and Anthropic's clients for Node: talks, whole and streamed.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const apiKey = process.env.HANLIN_KEY;
const openai = new OpenAI({ baseURL: `${process.env.HANLIN_URL}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: process.env.HANLIN_URL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "good w30 bad" }];
const asked = { model: "muse", messages, max_tokens: 5 };

const chat = await openai.chat.completions.create(asked);
const text = chat.choices[0].message.content;
assert.ok(text.length > 0);
let streamed = "";
let usage;
for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } })) {
  streamed += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(streamed, text);
assert.deepEqual(usage, chat.usage);
const response = await openai.responses.create({ model: "muse", input: messages, max_output_tokens: 5 });
assert.equal(response.output_text, text);
streamed = "";
for await (const event of await openai.responses.create({ model: "muse", input: messages, max_output_tokens: 5, stream: true })) {
  if (event.type === "response.output_text.delta") streamed += event.delta;
}
assert.equal(streamed, text);
const completion = await openai.completions.create({ model: "muse", prompt: "good w30", max_tokens: 4 });
streamed = "";
for await (const chunk of await openai.completions.create({ model: "muse", prompt: "good w30", max_tokens: 4, stream: true })) {
  streamed += chunk.choices[0].text;
}
assert.equal(streamed, completion.choices[0].text);

const message = await anthropic.messages.create(asked);
assert.equal(message.content[0].text, text);
assert.equal(message.stop_reason, "max_tokens");
streamed = "";
const stream = anthropic.messages.stream(asked).on("text", (piece) => (streamed += piece));
const final = await stream.finalMessage();
assert.equal(streamed, text);
assert.deepEqual([final.content[0].text, final.usage.input_tokens], [text, message.usage.input_tokens]);
assert.equal((await anthropic.messages.countTokens({ model: "muse", messages })).input_tokens, message.usage.input_tokens);

const mistakes = [
  [() => openai.chat.completions.create({ ...asked, model: "none-such" }), OpenAI.NotFoundError, "endpoint_not_found"],
  [() => openai.chat.completions.create({ ...asked, n: 0 }), OpenAI.UnprocessableEntityError, "invalid_parameter"],
];
for (const [call, kind, code] of mistakes) {
  await assert.rejects(call, (error) => error instanceof kind && error.code === code);
}
await assert.rejects(() => anthropic.messages.create({ ...asked, model: "none-such" }), Anthropic.NotFoundError);
console.log("all checks passed");
