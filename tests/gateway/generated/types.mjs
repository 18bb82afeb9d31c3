// Types of the whole API by openapi-typescript, a use of them that must compile, and mistakes that must not; then the use runs.
// node types.mjs, in a folder with its node_modules. HANLIN_URL, HANLIN_KEY.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

import openapiTS, { astToString } from "openapi-typescript";

const url = process.env.HANLIN_URL;
writeFileSync("api.d.ts", astToString(await openapiTS(new URL(`${url}/openapi.json`))));
writeFileSync("use.ts", `
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string> };
const client = createClient<paths>({ baseUrl: process.env.HANLIN_URL, headers: { Authorization: "Bearer " + process.env.HANLIN_KEY } });
const path = { endpoint: "sentiment" };
const { data, error } = await client.POST("/models/{endpoint}", { params: { path }, body: { inputs: "good" } });
if (error) throw new Error(error.error.message);
if (!Array.isArray(data) || data.length !== 2) throw new Error(JSON.stringify(data));

const described = await client.GET("/models/{endpoint}", { params: { path } });
const most: number | undefined = described.data?.limits?.max_items;
if (most !== 32) throw new Error(String(most));

const vectors = await client.POST("/v1/embeddings", { body: { model: "vectors", input: ["good", "bad"], dimensions: 4 } });
if (vectors.data?.data.length !== 2) throw new Error(JSON.stringify(vectors.error));

const models = await client.GET("/api/v1/models");
const names: string[] = models.data?.models.map((model) => model.name) ?? [];
if (!names.includes("mood")) throw new Error(names.join());

const refused = await client.POST("/models/{endpoint}", { params: { path }, body: { inputs: " " } });
const code: components["schemas"]["Error"]["error"]["code"] | undefined = refused.error?.error.code;
if (code !== "empty_text") throw new Error(String(code));
console.log("used");
`);
writeFileSync("misuse.ts", `
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const client = createClient<paths>({ baseUrl: "" });
await client.POST("/v1/embeddings", { body: { model: "vectors", input: 5 } });
await client.GET("/models/{endpoint}", {});
await client.GET("/none-such");
`);
const strict = ["--strict", "--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022", "--skipLibCheck"];
const tsc = (...args) => execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...strict, ...args], { encoding: "utf8" });

try {
  tsc("use.ts");
} catch (problem) {
  console.log(problem.stdout);
  process.exit(1);
}
try {
  tsc("--noEmit", "misuse.ts");
  console.log("mistakes compile");
  process.exit(1);
} catch (problem) {
  const lines = new Set([...problem.stdout.matchAll(/misuse\.ts\((\d+),/g)].map((found) => found[1]));
  if (!["6", "7", "8"].every((line) => lines.has(line))) {
    console.log(problem.stdout);
    process.exit(1);
  }
}
process.stdout.write(execFileSync(process.execPath, ["use.js"], { encoding: "utf8" }));
