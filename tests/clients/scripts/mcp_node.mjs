// What @modelcontextprotocol/sdk does with a service. `mcp_node.mjs URL [COMMAND]`, as mcp_client.py.
import { createRequire } from "node:module";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, command] = process.argv.slice(2);
const transport = command
  ? new StdioClientTransport({ command, args: ["mcp"], env: { ...process.env, ATELIER_URL: url } })
  : new StreamableHTTPClientTransport(new URL(`${url}/mcp`));
const client = new Client({ name: "test", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
const reports = [];
const asked = { prompt: "a red apple", seed: 7, wait_seconds: 60 };
const result = await client.callTool({ name: "paint", arguments: asked }, undefined, {
  onprogress: ({ progress }) => reports.push(progress),
});
const link = result.content.find((block) => block.type === "resource_link");
const { contents } = await client.readResource({ uri: link.uri });
const job = result.structuredContent.id;
const status = await client.callTool({ name: "job_status", arguments: { job_id: job } });
const refused = await client.callTool({ name: "paint", arguments: { ...asked, steps: 0 } });
await client.close();
console.log(
  JSON.stringify({
    version: createRequire(import.meta.url)("./node_modules/@modelcontextprotocol/sdk/package.json").version,
    tools: tools.map((tool) => tool.name),
    content: result.content,
    reports,
    resource: contents[0].blob,
    job,
    status: status.structuredContent.status,
    error: refused.structuredContent.error.param,
  }),
);
