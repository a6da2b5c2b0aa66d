// What the AI SDK does with a service that writes. `ai_sdk_text.mjs URL`.
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateObject, generateText, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const openai = createOpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none" });
const asked = { model: openai.chat("gpt-4o"), prompt: "Which animal?", maxOutputTokens: 60, seed: 1, maxRetries: 0 };
const schema = z.object({ name: z.enum(["hen", "whale"]), legs: z.number().int().min(0).max(8) });
const { object } = await generateObject({ ...asked, schema });
const stream = streamObject({ ...asked, schema });
let parts = 0;
for await (const _ of stream.partialObjectStream) parts += 1;
const responding = { ...asked, model: openai("gpt-4o"), seed: undefined };
const response = await generateObject({ ...responding, schema });
const responseStream = streamObject({ ...responding, schema });
for await (const _ of responseStream.partialObjectStream);
const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.enum(["Ulm", "Bonn"]) }),
  execute: ({ city }) => `sun in ${city}`,
});
const calling = {
  ...asked,
  tools: { weather },
  toolChoice: { type: "tool", toolName: "weather" },
  providerOptions: { openai: { parallelToolCalls: false } },
};
const called = await generateText({
  ...calling,
  stopWhen: ({ steps }) => steps.length === 2,
  prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : calling.toolChoice }),
});
const calledByResponse = await generateText({ ...calling, ...responding });
const streamed = streamText(calling);
for await (const _ of streamed.fullStream);
const { embeddings } = await embedMany({
  model: openai.embedding("text-embedding-3-small"),
  values: ["a hen", "a whale"],
  maxRetries: 0,
});
console.log(
  JSON.stringify({
    animals: {
      generateObject: object,
      streamObject: await stream.object,
      response: response.object,
      responseStream: await responseStream.object,
    },
    responseCity: calledByResponse.toolCalls[0].input.city,
    parts,
    city: called.steps[0].toolCalls[0].input.city,
    result: called.steps[0].toolResults[0].output,
    text: called.text,
    same: (await streamed.toolCalls)[0].input.city === called.steps[0].toolCalls[0].input.city,
    vectors: embeddings.map((vector) => vector.length),
  }),
);
