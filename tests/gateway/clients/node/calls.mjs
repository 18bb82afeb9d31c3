// OpenAI's and Anthropic's clients for Node: a call of a tool is made, answered and gone on from, whole and streamed.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const apiKey = process.env.HANLIN_KEY;
const openai = new OpenAI({ baseURL: `${process.env.HANLIN_URL}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: process.env.HANLIN_URL, apiKey, maxRetries: 0 });
const places = { type: "object", properties: { at: { enum: ["here", "there"] } }, required: ["at"], additionalProperties: false };
const messages = [{ role: "user", content: "Where to?" }];

const tools = [{ type: "function", function: { name: "go", description: "Goes.", parameters: places } }];
const asked = { model: "muse", messages, tools, tool_choice: "required", parallel_tool_calls: false, max_tokens: 200 };
const { message, finish_reason } = (await openai.chat.completions.create(asked)).choices[0];
const [call] = message.tool_calls;
assert.deepEqual([finish_reason, call.function.name], ["tool_calls", "go"]);
assert.ok(["here", "there"].includes(JSON.parse(call.function.arguments).at));
let written = "";
for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true })) {
  for (const each of chunk.choices[0]?.delta.tool_calls ?? []) written += each.function.arguments ?? "";
}
assert.equal(written, call.function.arguments);
const talk = [...messages, message, { role: "tool", tool_call_id: call.id, content: "gone" }];
const again = await openai.chat.completions.create({ model: "muse", messages: talk, tools, max_tokens: 6 });
assert.ok(again.usage.completion_tokens <= 6);

const used = [{ name: "go", description: "Goes.", input_schema: places }];
const any = { type: "any", disable_parallel_tool_use: true };
const wanted = { model: "muse", messages, tools: used, tool_choice: any, max_tokens: 200 };
const made = await anthropic.messages.create(wanted);
assert.deepEqual([made.stop_reason, made.content[0].type, made.content[0].name], ["tool_use", "tool_use", "go"]);
const final = await anthropic.messages.stream(wanted).finalMessage();
assert.deepEqual(final.content[0].input, made.content[0].input);
const result = [{ type: "tool_result", tool_use_id: made.content[0].id, content: "gone" }];
const told = [...messages, { role: "assistant", content: made.content }, { role: "user", content: result }];
const next = await anthropic.messages.create({ model: "muse", messages: told, tools: used, max_tokens: 6 });
assert.ok(next.usage.input_tokens > made.usage.input_tokens);
