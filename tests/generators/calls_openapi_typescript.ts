// Types of requests and replies that openapi-typescript wrote, used with plain fetch; argument: URL.
import type { components } from './schema';

declare const process: { argv: string[]; exit(status: number): void };

type Schemas = components['schemas'];

async function post<Body, Reply>(path: string, body: Body): Promise<Reply> {
  const headers = { 'Content-Type': 'application/json', Prefer: 'wait=60' };
  const answer = await fetch(process.argv[2] + path, {
    method: 'POST', headers, body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Reply;
}

async function main(): Promise<void> {
  const job = await post<Partial<Schemas['plain']>, Schemas['Job']>(
    '/generate/image', { n: 2, seed: 7 });
  const chat = await post<Partial<Schemas['tiny-language-in-openai-chatrequest']>, Schemas['ChatReply']>(
    '/v1/chat/completions', { messages: [{ role: 'user', content: 'hello' }], max_tokens: 5 });
  const video = await post<Partial<Schemas['tiny-video_gan-in-openai']>, Schemas['VideoResponse']>(
    '/v1/videos', { prompt: 'red', seed: 7 });
  if (job.status !== 'completed' || chat.usage.completion_tokens > 5 || !video.id) {
    throw new Error(JSON.stringify([job, chat, video]));
  }
  console.log('a picture, a chat and a video');
}

main().catch((error) => { console.error(error); process.exit(1); });
