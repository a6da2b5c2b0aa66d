// A request as curl, as Python, and for OpenAI's client.
import { prefix } from '../lib/api.js';

const base = () => location.origin + prefix;

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl(type, request, needsKey) {
  const lines = [
    `curl -s ${base()}/generate/${type}`,
    needsKey && "-H \"Authorization: Bearer $ATELIER_API_KEY\"",
    "-H 'Content-Type: application/json'",
    "-H 'Prefer: wait=60'",
    `-d ${quoted(JSON.stringify(request))}`,
  ];
  return lines.filter(Boolean).join(' \\\n  ');
}

// A JSON value as Python writes it.
export function python(value, indent = '') {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map((x) => python(x, indent)).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value).map(([name, x]) => `${JSON.stringify(name)}: ${python(x, indent)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}

export function client(type, request, needsKey) {
  const { model, ...params } = request;
  const fields = Object.entries({ model, ...params }).map(([name, value]) => `            ${JSON.stringify(name)}: ${python(value)},`);
  return [
    needsKey ? 'import os\n' : '',
    'import httpx\n',
    `with httpx.Client(base_url=${JSON.stringify(base())}${needsKey ? ', headers={"Authorization": f"Bearer {os.environ[\'ATELIER_API_KEY\']}"}' : ''}) as http:`,
    '    job = http.post(',
    `        ${JSON.stringify(`/generate/${type}`)},`,
    '        json={',
    ...fields,
    '        },',
    '        headers={"Prefer": "wait=60"},',
    '        timeout=70,',
    '    ).raise_for_status().json()',
    '    for output in job["outputs"]:',
    '        print(output["url"], output["sha256"])',
  ].filter((line) => line !== '').join('\n');
}

// OpenAI's client has no route for some kinds, and for others a dialect of its own.
const ROUTES = {
  'text-to-image': ({ model, prompt, n, ...extra }) => call('images.generate', { model, prompt, n }, extra, 'print(result.data[0].b64_json[:60])'),
  image: ({ model, n, ...extra }) => call('images.generate', { model, prompt: extra.class_label ?? model, n }, without(extra, 'class_label'), 'print(result.data[0].b64_json[:60])'),
  video: ({ model, prompt, ...extra }) => call('videos.create_and_poll', { model, prompt }, extra, 'print(result.id, result.status)'),
  story: ({ model, prompt, messages, text, max_tokens: most, temperature, top_p: top, seed }) => call('chat.completions.create', {
    model, messages: messages ?? [{ role: 'user', content: prompt ?? text ?? '' }], max_tokens: most, temperature, top_p: top, seed,
  }, {}, 'print(result.choices[0].message.content)'),
};

const without = (values, name) => Object.fromEntries(Object.entries(values).filter(([key]) => key !== name));

function call(method, params, extra, last) {
  const args = Object.entries(params).filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `    ${name}=${python(value)},`);
  if (Object.keys(extra).length) args.push(`    extra_body=${python(extra)},`);
  return [`result = client.${method}(`, ...args, ')', last].join('\n');
}

export function openai(type, request, needsKey) {
  const route = ROUTES[type];
  if (!route) return null;
  return [
    'from openai import OpenAI\n',
    `client = OpenAI(base_url=${JSON.stringify(`${base()}/v1`)}, api_key=${needsKey ? 'os.environ["ATELIER_API_KEY"]' : '"none"'})`,
    route(request),
  ].join('\n').replace(/^from/, needsKey ? 'import os\n\nfrom' : 'from');
}
