// A result in small: a thumbnail, a clip, or the beginning of a text.
import { html, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { artifact, thumbnail } from '../lib/api.js';
import { clipped, duration, summary } from '../lib/format.js';
import { Link } from '../lib/router.js';
import { Icon, typeIcon } from './icons.js';

export function Tile({ job, output, live = false }) {
  const to = `results/${job.id}/${output.index}`;
  const name = `${summary(job)} (${output.index + 1})`;
  if (output.role === 'text') {
    return html`<${Link} to=${to} class="tile text" aria-label=${name}>
      <p>${output.title && html`<strong>${output.title}</strong>`}${clipped(output.text ?? summary(job), live ? 600 : 220)}</p></${Link}>`;
  }
  if (live && output.role === 'audio') {
    return html`<div class="tile sound"><${Link} to=${to} aria-label=${name}><${Picture} output=${output} name=${name} /></${Link}>
      <audio controls preload="none" src=${artifact(output.sha256)} aria-label=${name}></audio></div>`;
  }
  if (live && output.role === 'video') {
    return html`<${Link} to=${to} class="tile" aria-label=${name}>
      <video src=${artifact(output.sha256)} autoplay loop muted playsinline></video></${Link}>`;
  }
  return html`<${Link} to=${to} class="tile" aria-label=${name}>
    <${Picture} output=${output} name=${name} type=${job.type} />
    ${output.role === 'video' && html`<span class="corner"><${Icon} name="film" />${output.seconds ? duration(output.seconds) : ''}</span>`}
    ${output.role === 'audio' && html`<span class="corner"><${Icon} name="sound" />${output.seconds ? duration(output.seconds) : ''}</span>`}
  </${Link}>`;
}

function Picture({ output, name, type }) {
  const [failed, fail] = useState(false);
  if (failed || output.role === 'vectors') {
    return html`<span class="no-picture"><${Icon} name=${typeIcon(type)} />${output.content_type}</span>`;
  }
  const small = output.width && output.width <= 32;
  return html`<img src=${thumbnail(output.sha256)} alt=${name} loading="lazy" decoding="async"
    class=${`${small ? 'pixelated' : ''} ${['audio', 'score'].includes(output.role) ? 'drawing' : ''}`} onError=${() => fail(true)} />`;
}
