// What the AI SDK does with a service. `ai_sdk.mjs URL`.
import { createOpenAI } from "@ai-sdk/openai";
import { generateImage, generateText, streamText } from "ai";

const openai = createOpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none" });
const image = async (options) =>
  (await generateImage({ maxRetries: 0, ...options })).images[0].base64;
const picture = await image({ model: openai.image("dall-e-3"), prompt: "a red apple", size: "1024x1024" });
const edited = await image({
  model: openai.image("gpt-image-1"),
  prompt: { text: "a green apple", images: [Buffer.from(picture, "base64")] },
  size: "1024x1024",
});
const asked = { model: openai.chat("gpt-4o"), prompt: "Tell me of the sea.", maxOutputTokens: 12, seed: 5, maxRetries: 0 };
const text = (await generateText(asked)).text;
let streamed = "";
for await (const delta of streamText(asked).textStream) streamed += delta;
console.log(JSON.stringify({ picture, edited, same: text === streamed }));
