// Server-sent events over fetch, so that the key stays in a header. After a drop it goes on from
// the last event that was seen.
import { send } from './api.js';

const LONGEST_PAUSE = 8000;

// `place()` is the last event that was seen, or empty. `onEvent(name, data, id)` hears each event.
export async function follow(path, place, onEvent, signal) {
  let pause = 500;
  while (!signal.aborted) {
    try {
      const last = place();
      const response = await send('GET', path, { headers: last ? { 'Last-Event-ID': last } : {}, signal });
      if (response.status === 204) return;
      pause = 500;
      for await (const event of events(response.body)) onEvent(event.name, event.data, event.id);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status && error.status < 500 && error.status !== 429) return;
    }
    await new Promise((wake) => { setTimeout(wake, pause); });
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

async function* events(stream) {
  let text = '';
  for await (const chunk of chunks(stream.pipeThrough(new TextDecoderStream()))) {
    text += chunk.replaceAll('\r\n', '\n');
    let end = text.indexOf('\n\n');
    while (end >= 0) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
      end = text.indexOf('\n\n');
    }
  }
}

// Streams can't be iterated in every browser yet.
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

function parse(block) {
  const event = { name: 'message', id: '', data: '' };
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const field = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event.name = value;
    else if (field === 'id') event.id = value;
    else if (field === 'data') event.data += event.data ? `\n${value}` : value;
  }
  return event.data ? { ...event, data: JSON.parse(event.data) } : null;
}
