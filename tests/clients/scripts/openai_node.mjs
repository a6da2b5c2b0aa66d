// What the openai package for Node does with a service. `openai_node.mjs URL`.
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const result = { models: [] };
for await (const model of client.models.list()) result.models.push(model.id);

const { data, response } = await client.images
  .generate({ model: "dall-e-3", prompt: "a red apple", size: "1024x1024", response_format: "b64_json" })
  .withResponse();
result.job = response.headers.get("x-job-id");
result.picture = data.data[0].b64_json;
const png = () => toFile(Buffer.from(result.picture, "base64"), "picture.png", { type: "image/png" });
const edited = await client.images.edit({
  model: "gpt-image-1", image: await png(), prompt: "a green apple", size: "512x512",
});
result.edited = edited.data[0].b64_json;
const varied = await client.images.createVariation({
  model: "dall-e-2", image: await png(), size: "256x256", response_format: "b64_json",
});
result.varied = varied.data[0].b64_json;
result.events = [];
const events = await client.images.generate({
  model: "gpt-image-1", prompt: "a dog", size: "512x512", stream: true, partial_images: 2,
});
for await (const event of events) result.events.push(event.type);

const messages = [{ role: "user", content: "Tell me of the sea." }];
const asked = { model: "gpt-4o", messages, max_tokens: 12, seed: 5 };
const chat = await client.chat.completions.create(asked);
result.chat = [chat.model, chat.usage.total_tokens];
let streamed = "";
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
result.same = streamed === chat.choices[0].message.content;

let video = await client.videos.create({ prompt: "a red apple", seconds: "4", steps: 2, frames: 8 });
while (["queued", "in_progress"].includes(video.status)) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  video = await client.videos.retrieve(video.id);
}
const content = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
result.video = [video.status, content.subarray(4, 8).toString()];
console.log(JSON.stringify(result));
