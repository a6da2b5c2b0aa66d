// Paints a mask over a picture: white is what will change. It has the picture's own size.
import { html, useEffect, useRef, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { artifact } from '../lib/api.js';
import { Dialog } from '../components/dialog.js';

const TINT = 'rgb(236 72 153 / 65%)';

export function MaskDialog({ picture, onClose, onDone }) {
  const canvas = useRef(null);
  const mask = useRef(null); // black and white, as it will be sent
  const image = useRef(null);
  const last = useRef(null);
  const [size, setSize] = useState(18); // percent of the shorter side
  const [erasing, erase] = useState(false);
  const [cursor, setCursor] = useState(null);

  useEffect(() => {
    const loaded = new Image();
    loaded.onload = () => {
      image.current = loaded;
      for (const each of [canvas.current, (mask.current = document.createElement('canvas'))]) {
        each.width = loaded.naturalWidth;
        each.height = loaded.naturalHeight;
      }
      fill('black');
    };
    loaded.src = artifact(picture);
  }, [picture]);
  useEffect(show, [cursor, size]);

  function fill(colour) {
    const context = mask.current.getContext('2d');
    context.fillStyle = colour;
    context.fillRect(0, 0, mask.current.width, mask.current.height);
    show();
  }

  const radius = () => Math.max(0.5, (Math.min(mask.current.width, mask.current.height) * size) / 200);

  function show() {
    if (!image.current || !mask.current) return;
    const { width, height } = mask.current;
    const context = canvas.current.getContext('2d');
    context.clearRect(0, 0, width, height);
    context.drawImage(image.current, 0, 0);
    const layer = document.createElement('canvas');
    layer.width = width;
    layer.height = height;
    const tint = layer.getContext('2d');
    tint.drawImage(mask.current, 0, 0);
    const pixels = tint.getImageData(0, 0, width, height);
    for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i];
    tint.putImageData(pixels, 0, 0);
    tint.globalCompositeOperation = 'source-in';
    tint.fillStyle = TINT;
    tint.fillRect(0, 0, width, height);
    context.drawImage(layer, 0, 0);
    if (cursor) {
      context.strokeStyle = 'white';
      context.lineWidth = Math.max(1, width / 200);
      context.beginPath();
      context.arc(cursor.x, cursor.y, radius(), 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function paint(from, to) {
    const context = mask.current.getContext('2d');
    context.strokeStyle = erasing ? 'black' : 'white';
    context.fillStyle = context.strokeStyle;
    context.lineCap = 'round';
    context.lineWidth = 2 * radius();
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
    show();
  }

  function at(event) {
    const box = canvas.current.getBoundingClientRect();
    const scale = canvas.current.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  const pointer = {
    onPointerDown: (e) => {
      canvas.current.setPointerCapture(e.pointerId);
      last.current = at(e);
      paint(last.current, last.current);
    },
    onPointerMove: (e) => {
      const here = at(e);
      setCursor(here);
      if (last.current) paint(last.current, here);
      if (last.current) last.current = here;
    },
    onPointerUp: () => { last.current = null; },
    onPointerLeave: () => { if (!last.current) setCursor(null); },
  };

  function onKeyDown(event) {
    const { width, height } = mask.current;
    const here = cursor ?? { x: width / 2, y: height / 2 };
    const far = Math.max(1, radius() / 2);
    const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    if (event.key === ' ') paint(here, here);
    else if (moves[event.key]) {
      const [x, y] = moves[event.key];
      setCursor({ x: Math.min(width, Math.max(0, here.x + x)), y: Math.min(height, Math.max(0, here.y + y)) });
    } else return;
    event.preventDefault();
  }

  // Each pixel becomes black or white: brushes have soft edges.
  function done() {
    const context = mask.current.getContext('2d');
    const pixels = context.getImageData(0, 0, mask.current.width, mask.current.height);
    for (let i = 0; i < pixels.data.length; i += 4) pixels.data.fill(pixels.data[i] < 128 ? 0 : 255, i, i + 3);
    context.putImageData(pixels, 0, 0);
    mask.current.toBlob((blob) => onDone(blob), 'image/png');
  }

  function invert() {
    const context = mask.current.getContext('2d');
    context.globalCompositeOperation = 'difference';
    context.fillStyle = 'white';
    context.fillRect(0, 0, mask.current.width, mask.current.height);
    context.globalCompositeOperation = 'source-over';
    show();
  }

  return html`<${Dialog} title=${t('mask.title')} onClose=${onClose} class="mask">
    <p class="faint" id="mask-help">${t('mask.help')}</p>
    <canvas ref=${canvas} tabindex="0" role="application" aria-label=${t('mask.canvas')} aria-describedby="mask-help" ...${pointer} onKeyDown=${onKeyDown}></canvas>
    <div class="row wrap">
      <label class="slider"><span>${t('mask.brush')}</span><input type="range" min="2" max="60" value=${size} onInput=${(e) => setSize(Number(e.target.value))} /></label>
      <label class="use"><input type="checkbox" checked=${erasing} onChange=${(e) => erase(e.target.checked)} /> ${t('mask.erase')}</label>
      <button type="button" onClick=${() => fill('black')}>${t('mask.clear')}</button>
      <button type="button" onClick=${invert}>${t('mask.invert')}</button>
      <button type="button" class="primary" onClick=${done}>${t('mask.done')}</button>
    </div>
  </${Dialog}>`;
}
