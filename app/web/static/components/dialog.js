// A modal dialog of the browser's own: it keeps the focus, and Escape closes it.
import { html, useEffect, useRef } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { Icon } from './icons.js';

export function Dialog({ title, onClose, children, class: classes = '' }) {
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      if (dialog.open) dialog.close();
      before?.focus?.();
    };
  }, []);
  return html`<dialog ref=${element} class=${classes} aria-label=${title} onCancel=${(e) => { e.preventDefault(); onClose(); }}>
    <header class="row"><h2>${title}</h2>
      <button type="button" class="quiet icon-only" aria-label=${t('close')} onClick=${onClose}><${Icon} name="close" /></button></header>
    ${children}
  </dialog>`;
}
