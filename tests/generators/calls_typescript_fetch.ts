// Makes a picture, a chat and a video by a client that openapi-generator wrote; argument: URL.
import { Configuration, GenerateApi, OpenaiApi } from './client/index';

declare const process: { argv: string[]; exit(status: number): void };

function check(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(JSON.stringify(what));
}

async function main(): Promise<void> {
  const configuration = new Configuration({ basePath: process.argv[2] });
  const job = await new GenerateApi(configuration).generateImage({
    plain: { n: 2, seed: 7 },
    prefer: 'wait=60',
  });
  check(job.status === 'completed' && job.outputs?.length === 2, job);

  const openai = new OpenaiApi(configuration);
  const answer = await openai.completeChat({
    tinyLanguageInOpenaiChatrequest: {
      messages: [{ role: 'user', content: 'hello' }],
      maxTokens: 5,
      seed: 7,
    },
  });
  check(answer.usage.completionTokens <= 5, answer);

  let video = await openai.createVideo({ tinyVideoGanInOpenai: { prompt: 'red', seed: 7 } });
  while (video.status === 'queued' || video.status === 'in_progress') {
    await new Promise((done) => setTimeout(done, 100));
    video = await openai.getVideo({ video: video.id });
  }
  check(video.status === 'completed', video);
  console.log('a picture, a chat and a video');
}

main().catch((error) => { console.error(error); process.exit(1); });
