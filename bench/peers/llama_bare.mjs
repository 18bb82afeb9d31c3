// llama.cpp by node-llama-cpp on a GGUF file: what `generation_engines.py` prints of an engine.
// usage: node llama_bare.mjs MODEL.gguf DIR THREADS [TOKENS [PROMPT]]        DIR has node_modules/node-llama-cpp
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
import path from "node:path";

const [model, place, threads, tokens = "32", length = "16"] = process.argv.slice(2);
const entry = createRequire(path.resolve(place, "x.js")).resolve("node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry));
const now = () => performance.now() / 1000;
const began = now();
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: Number(threads) });
const loaded = await llama.loadModel({ modelPath: model });
const context = await loaded.createContext({ sequences: 16, contextSize: 640, batchSize: 512, threads: Number(threads) });
const load = now() - began;
let state = 13;
const prompt = (length) => Array.from({ length }, () => 100 + Math.floor((state = (state * 48271) % 2147483647) / 7) % 40000);

async function write(rows, tokens) {
  while (context.sequencesLeft < rows.length) await new Promise((done) => setTimeout(done, 20));  // places come back a little later
  const start = now();
  let firsts = 0, first = 0, atFirst = 0, written = 0;
  await Promise.all(rows.map(async (row) => {
    const sequence = context.getSequence();
    let own = 0;
    for await (const _ of sequence.evaluate(row, { temperature: 0, yieldEogToken: true })) {
      written += 1;
      own += 1;
      if (own === 1 && ++firsts === rows.length) { first = now() - start; atFirst = written; }
      if (own >= tokens) break;
    }
    await sequence.clearHistory();
    sequence.dispose();
  }));
  return [first, (written - atFirst) / Math.max(now() - start - first, 1e-9)];
}

await write([prompt(16), prompt(16)], 4);
const found = { load_s: Math.round(load * 10) / 10 };
for (const streams of [1, 8, 16]) {
  const rows = Array.from({ length: streams }, () => prompt(Number(length)));
  found[`tokens_s_${streams}`] = Math.round((await write(rows, Number(tokens)))[1] * 10) / 10;
}
const firsts = [(await write([prompt(512)], 1))[0], (await write([prompt(512)], 1))[0]];
found.first_512_ms = Math.round(Math.min(...firsts) * 1000);
found.memory_mb = Math.round(Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * 4096 / 1e6);
console.log(JSON.stringify(found));
process.exit(0);
