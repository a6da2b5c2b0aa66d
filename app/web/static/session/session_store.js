// Who is signed in. The cookie of a session lets pictures, sounds and downloads be read; the key
// itself is sent with every other request.
import { forgetKey, get, keepKey, key, send, whenUnauthenticated } from '../lib/api.js';
import { Store } from '../lib/store.js';

const RENEW = 15 * 60 * 1000; // milliseconds; a session lasts an hour

// state: 'unknown' | 'open' | 'closed'
export const session = new Store({ state: 'unknown', owner: '', scopes: [], keysRequired: false });

export async function open() {
  try {
    if (key()) await send('POST', '/session');
    const { owner, scopes, keys_required: keysRequired } = await get('/session');
    // A cookie without the key reads, and can't make anything.
    if (keysRequired && !key()) session.update({ state: 'closed', keysRequired });
    else session.set({ state: 'open', owner, scopes, keysRequired });
  } catch (error) {
    if (error.status === 401) session.update({ state: 'closed', keysRequired: true });
    else setTimeout(open, 2000);
  }
}

export async function signIn(value, lasting) {
  keepKey(value, lasting);
  try {
    await send('POST', '/session');
  } catch (error) {
    forgetKey();
    throw error;
  }
  await open();
}

export async function signOut() {
  await send('DELETE', '/session').catch(() => {});
  forgetKey();
  location.reload(); // nothing of this key stays in memory
}

whenUnauthenticated(() => session.value.state === 'open' && session.update({ state: 'closed', keysRequired: true }));
setInterval(() => key() && session.value.state === 'open' && send('POST', '/session').catch(() => {}), RENEW);
