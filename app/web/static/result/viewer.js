// A result in large: a picture that can be zoomed, a clip, a sound, a text.
import { html, useRef, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { artifact, thumbnail } from '../lib/api.js';
import { Icon, typeIcon } from '../components/icons.js';

export function Viewer({ job, output, name }) {
  const address = artifact(output.sha256);
  if (output.role === 'text') {
    return html`<article class="viewer prose" tabindex="0">${output.title && html`<h2>${output.title}</h2>`}<p>${output.text}</p></article>`;
  }
  if (output.content_type.startsWith('video/')) {
    return html`<div class="viewer"><video src=${address} controls autoplay loop muted playsinline aria-label=${name}></video></div>`;
  }
  if (output.content_type.startsWith('audio/') && output.role !== 'score') {
    return html`<div class="viewer sound"><img class="drawing" src=${thumbnail(output.sha256, 512)} alt="" />
      <audio src=${address} controls aria-label=${name}></audio></div>`;
  }
  if (output.content_type.startsWith('image/')) return html`<${Zoom} key=${output.sha256} address=${address} output=${output} name=${name} />`;
  if (output.role === 'score') return html`<div class="viewer sound"><img class="drawing" src=${thumbnail(output.sha256, 512)} alt=${name} /></div>`;
  return html`<div class="viewer no-picture"><${Icon} name=${typeIcon(job.type)} />${output.content_type}</div>`;
}

const STEPS = [1, 1.5, 2, 3, 4, 6, 8, 12, 16];

function Zoom({ address, output, name }) {
  const [scale, setScale] = useState(1);
  const box = useRef(null);
  const drag = useRef(null);
  const step = (by) => setScale((now) => STEPS[Math.min(STEPS.length - 1, Math.max(0, STEPS.findIndex((x) => x >= now) + by))]);
  const onWheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    step(event.deltaY < 0 ? 1 : -1);
  };
  const onKeyDown = (event) => {
    if (event.key === '+' || event.key === '=') step(1);
    else if (event.key === '-') step(-1);
    else if (event.key === '0') setScale(1);
  };
  const onPointerDown = (event) => {
    if (event.pointerType !== 'mouse' || scale === 1) return;
    event.preventDefault();
    box.current.setPointerCapture(event.pointerId);
    drag.current = { x: event.clientX + box.current.scrollLeft, y: event.clientY + box.current.scrollTop };
  };
  const onPointerMove = (event) => {
    if (!drag.current) return;
    box.current.scrollLeft = drag.current.x - event.clientX;
    box.current.scrollTop = drag.current.y - event.clientY;
  };
  const small = output.width && output.width <= 64;
  return html`<div class="viewer zoomable">
    <div class="zoom-box ${scale > 1 ? 'zoomed' : ''}" ref=${box} tabindex="0" role="group" aria-label=${name} onWheel=${onWheel} onKeyDown=${onKeyDown}
      onPointerDown=${onPointerDown} onPointerMove=${onPointerMove} onPointerUp=${() => { drag.current = null; }}>
      <img src=${address} alt=${name} class=${small || scale > 2 ? 'pixelated' : ''} style=${{ width: `${100 * scale}%`, height: `${100 * scale}%` }} draggable=${false} />
    </div>
    <div class="zoom-bar">
      <button type="button" class="quiet icon-only" aria-label=${t('result.zoomOut')} onClick=${() => step(-1)}><${Icon} name="minus" /></button>
      <button type="button" class="quiet" onClick=${() => setScale(1)}>${scale === 1 ? t('result.fit') : `${Math.round(100 * scale)} %`}</button>
      <button type="button" class="quiet icon-only" aria-label=${t('result.zoomIn')} onClick=${() => step(1)}><${Icon} name="plus" /></button>
    </div>
  </div>`;
}
