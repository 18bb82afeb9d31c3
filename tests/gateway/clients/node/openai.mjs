// OpenAI's client for Node.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.HANLIN_URL}/v1`, apiKey: process.env.HANLIN_KEY, maxRetries: 0 });
const input = ["good bad", "w9 w10 w11", "good"];

const packed = await client.embeddings.create({ model: "vectors", input });
const floats = await client.embeddings.create({ model: "vectors", input, encoding_format: "float" });
assert.deepEqual(packed.data.map((item) => item.embedding.length), [8, 8, 8]);
for (const [index, item] of floats.data.entries()) {
  const length = Math.sqrt(item.embedding.reduce((sum, value) => sum + value * value, 0));
  assert.ok(Math.abs(length - 1) < 1e-5);
  item.embedding.forEach((value, place) => assert.ok(Math.abs(value - packed.data[index].embedding[place]) < 1e-6));
}
assert.ok(floats.usage.total_tokens > 0);
const few = await client.embeddings.create({ model: "vectors", input, dimensions: 3 });
assert.deepEqual(few.data.map((item) => item.embedding.length), [3, 3, 3]);

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.deepEqual(["ranks", "roles", "sentiment", "tags", "vectors"].filter((name) => !names.includes(name)), []);
assert.equal(new Set(names).size, names.length);
assert.equal((await client.models.retrieve("vectors")).id, "vectors");

const codes = [
  [() => client.embeddings.create({ model: "none-such", input }), OpenAI.NotFoundError, "endpoint_not_found"],
  [() => client.embeddings.create({ model: "vectors", input: "" }), OpenAI.UnprocessableEntityError, "empty_text"],
  [() => client.embeddings.create({ model: "vectors", input, dimensions: 9 }), OpenAI.UnprocessableEntityError, "too_many_dimensions"],
];
for (const [call, kind, code] of codes) {
  await assert.rejects(call, (error) => error instanceof kind && error.code === code);
}
console.log("all checks passed");
