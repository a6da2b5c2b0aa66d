// A grid of tiles of which only those near the window exist, so that ten thousand scroll smoothly.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/preact.js';

const GAP = 12; // pixels
const OVERSCAN = 3; // rows above and below the window
const CAPTION = 34; // pixels

export function Grid({ items, least = 168, label, onEnd, children }) {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  const [rows, setRows] = useState([0, 10]);
  useLayoutEffect(() => {
    const measure = () => setWidth(box.current.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    measure();
    return () => observer.disconnect();
  }, []);
  const columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
  const tile = (width - GAP * (columns - 1)) / columns;
  const height = tile + CAPTION + GAP;
  const total = Math.ceil(items.length / columns);
  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      if (!box.current || !width) return;
      const top = -box.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / height) - OVERSCAN);
      const last = Math.ceil((top + window.innerHeight) / height) + OVERSCAN;
      setRows((before) => (before[0] === first && before[1] === last ? before : [first, last]));
      if (last + 4 >= total) onEnd();
    };
    const soon = () => { frame ||= requestAnimationFrame(look); };
    look();
    window.addEventListener('scroll', soon, { passive: true });
    window.addEventListener('resize', soon);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener('scroll', soon);
      window.removeEventListener('resize', soon);
    };
  }, [width, height, items, onEnd]);
  const [first, last] = [Math.min(rows[0], total), Math.min(rows[1], total)];
  const shown = items.slice(first * columns, last * columns);
  return html`<div class="grid-box" ref=${box} style=${{ height: `${Math.max(0, total * height)}px` }} role="list" aria-label=${label}>
    ${width > 0 && shown.map((item, i) => {
      const at = first * columns + i;
      const [row, column] = [Math.floor(at / columns), at % columns];
      const style = { transform: `translate(${column * (tile + GAP)}px, ${row * height}px)`, width: `${tile}px`, height: `${height - GAP}px` };
      return html`<div class="cell" role="listitem" key=${item.name} style=${style} aria-setsize=${items.length} aria-posinset=${at + 1}>${children(item, at)}</div>`;
    })}
  </div>`;
}
