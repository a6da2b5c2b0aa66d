// A file that a request names by its hash: dropped, chosen, pasted or taken from a result.
import { html, useRef, useState } from '../lib/preact.js';
import { t, known } from '../lib/i18n.js';
import { thumbnail, upload } from '../lib/api.js';
import { notify } from '../components/notices.js';
import { Icon } from '../components/icons.js';
import { MaskDialog } from './mask_dialog.js';

export const accepts = (kind, file) => {
  const type = file.type || (/\.midi?$/i.test(file.name ?? '') ? 'audio/midi' : '');
  return type === kind || type.startsWith(`${kind}/`) || (kind === 'audio/midi' && /^audio\/(x-)?midi?$/.test(type));
};

export function ArtifactInput({ id, field, value, aria, onChange, context }) {
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const [drawing, draw] = useState(false);
  const input = useRef(null);
  const isMask = field.name === 'mask' && context.has('init_image');
  const keep = async (file) => {
    setBusy(true);
    try {
      onChange((await upload(file)).sha256);
    } catch (error) {
      notify(error);
    }
    setBusy(false);
  };
  const drop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    const file = [...event.dataTransfer.files].find((x) => accepts(field.artifact, x));
    if (file) keep(file);
    else if (event.dataTransfer.files.length) notify(new Error(t('drop.nowhere')));
  };
  const events = { onDragOver: (e) => { e.preventDefault(); setOver(true); }, onDragLeave: () => setOver(false), onDrop: drop };
  const accept = field.artifact.includes('/') ? `${field.artifact},.mid,.midi` : `${field.artifact}/*`;
  return html`<div class="drop ${over ? 'over' : ''}" ...${events}>
    <input type="file" id=${id} ref=${input} accept=${accept} ...${aria} disabled=${busy}
      onChange=${(e) => { if (e.target.files[0]) keep(e.target.files[0]); e.target.value = ''; }} />
    ${value && html`<div class="chosen">
      <img src=${thumbnail(value, 128)} alt=${field.label} />
      <button type="button" class="quiet" onClick=${() => onChange(null)}><${Icon} name="close" />${t('drop.remove')}</button>
    </div>`}
    ${!value && html`<p class="faint">${busy ? t('drop.busy') : known(`drop.${field.artifact}`, t('drop.other'))}</p>`}
    ${isMask && html`<button type="button" onClick=${() => (context.get('init_image') ? draw(true) : notify(t('mask.needs')))}>
      <${Icon} name="brush" />${t('drop.mask')}</button>`}
    ${drawing && html`<${MaskDialog} picture=${context.get('init_image')} onClose=${() => draw(false)}
      onDone=${(file) => { draw(false); keep(file); }} />`}
  </div>`;
}
