// What every page does: copying, times that stay true, themes of dialogs, and telling that the server cannot be reached.
'use strict';

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

// root is the path below which a proxy has the server, '' for none.
const root = document.documentElement.dataset.root ?? '';

// As in Go (fluxString): only these mean something in a string of Flux.
const fluxCall = (key) => 'secrets.get(key: "' + key.replace(/[\\"]|\$\{/g, '\\$&') + '")';

// ---- copying -------------------------------------------------------------------------------------------------------

async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Plain HTTP to another machine has no clipboard API; the old way needs a field to copy from.
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'vh';
  field.readOnly = true;
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new Error('refused');
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('.copy');
  if (!button) return;
  event.preventDefault();
  const name = () => $('a', button.closest('li')).textContent;
  let text = $('code', button.parentElement)?.textContent;
  if ('copyName' in button.dataset) text = name();
  if ('copyFlux' in button.dataset) text = fluxCall(name());
  const label = $('span', button);
  const was = button.dataset.was ??= label.textContent;
  try {
    await copyText(text);
    button.dataset.taken = '';
    label.textContent = 'Copied';
    button.classList.add('done');
    say('Copied.');
  } catch {
    label.textContent = 'Not copied';
    say('The browser did not let this page copy.');
  }
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { label.textContent = was; button.classList.remove('done'); }, 2000);
});

// say tells a screen reader.
const speaker = document.createElement('div');
speaker.className = 'vh';
speaker.setAttribute('aria-live', 'polite');
document.body.append(speaker);
function say(text) {
  speaker.textContent = '';
  setTimeout(() => { speaker.textContent = text; }, 50);
}

// What the page says at its head was there before a screen reader listened.
setTimeout(() => {
  const told = $$('#main > .note, #note > span').map((note) => note.textContent).join(' ');
  if (told) say(told);
}, 300);

// Behind a proxy that speaks TLS, the server does not know its own address as the browser does.
function trueOrigin() {
  for (const code of $$('[data-origin]')) code.textContent = code.textContent.replace(code.dataset.origin, () => location.origin + root);
}
trueOrigin();

// ---- times, as in Go (ago) -----------------------------------------------------------------------------------------

function ago(then) {
  let s = (Date.now() - then) / 1000;
  const future = s < 0;
  s = Math.abs(s);
  if (s < 45) return future ? 'in a moment' : 'just now';
  const [n, unit] = s < 3570 ? [Math.max(1, Math.round(s / 60)), 'minute'] : s < 84600 ? [Math.round(s / 3600), 'hour']
    : s < 60 * 86400 ? [Math.max(1, Math.round(s / 86400)), 'day']
    : s < 700 * 86400 ? [Math.floor((s / 86400 + 15) / (30 + 10 / 24)), 'month'] : [Math.floor((s / 86400 + 1) / 365), 'year'];
  const words = n + ' ' + unit + (n === 1 ? '' : 's');
  return future ? 'in ' + words : words + ' ago';
}
function freshTimes() {
  for (const t of $$('time[datetime]')) {
    const words = ago(Date.parse(t.dateTime));
    if (t.textContent !== words) t.textContent = words;
  }
}
setInterval(freshTimes, 30000);

// What was done can be put away once it is read.
const note = $('#note');
if (note) {
  const put = document.createElement('button');
  put.type = 'button';
  put.className = 'link';
  put.textContent = 'Close';
  put.addEventListener('click', () => note.remove());
  note.append(put);
}

// ---- the connection ------------------------------------------------------------------------------------------------

const connection = {
  lost: false,
  banner: $('#connection'),
  async ask() {
    try {
      const answer = await fetch(root + '/ping', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error();
      this.back();
    } catch {
      this.gone();
    }
  },
  gone() {
    if (!this.lost) {
      this.lost = true;
      this.show('The server cannot be reached. What you typed is still here; trying again…');
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 2000);
  },
  back() {
    if (!this.lost) return;
    this.lost = false;
    this.show('The server is there again. Go on where you were.', true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.banner.hidden = true; }, 6000);
  },
  show(text, good = false) {
    this.banner.classList.toggle('good', good);
    this.banner.textContent = text;
    this.banner.hidden = false;
    say(text);
  },
};
window.addEventListener('offline', () => connection.gone());
window.addEventListener('online', () => connection.ask());
setInterval(() => { if (!document.hidden && !connection.lost) connection.ask(); }, 15000);

// ---- lists that are filtered where they stand ----------------------------------------------------------------------

for (const input of $$('[data-filter]')) {
  input.addEventListener('input', () => {
    const wanted = input.value.toLowerCase();
    let found = 0;
    for (const li of $$(input.dataset.filter)) {
      li.hidden = !li.textContent.toLowerCase().includes(wanted);
      if (!li.hidden) found++;
    }
    $('#found').textContent = wanted && !found ? 'None found.' : wanted ? found + ' found' : '';
  });
}

// ---- what goes on while one looks ------------------------------------------------------------------------------------

// renew puts parts of the page as they are now in their places, except where somebody is using them.
async function renew(parts) {
  const answer = await fetch(location.href, { cache: 'no-store', headers: { 'Strongroom-Live': '1' } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (fresh && !part.contains(document.activeElement)) part.replaceWith(fresh);
  }
}

// every does something again and again while the page is looked at and the server is there.
function every(ms, what) {
  setTimeout(async () => {
    try {
      if (!document.hidden && !connection.lost) await what();
    } catch {
      connection.gone();
    }
    every(ms, what);
  }, ms);
}

// A rotation is followed to its end.
if ($('[data-refresh]')) every(2000, () => $('[data-refresh]') && renew($$('[data-refresh]')));

// A page that could not be made for now comes by itself once it can be.
if ($('[data-again]')) {
  every(5000, async () => {
    const answer = await fetch(location.href, { cache: 'no-store', headers: { 'Strongroom-Live': '1' } });
    if (answer.status !== 503) location.reload();
  });
}

// The store's page follows the store. /health asks for no session: to look at this page for hours keeps nobody signed in.
if ($('[data-health]')) {
  every(5000, async () => {
    const part = $('[data-health]');
    const answer = await fetch(root + '/health', { cache: 'no-store' });
    const health = await answer.json();
    const unsaved = health.checks.find((check) => check.name === 'data' && check.status === 'fail');
    const now = !answer.ok ? 'fail' : unsaved ? 'read' : 'pass';
    if (now === part.dataset.health) return;
    if (now !== 'pass') { // at once: without its data the server knows nobody, and makes no page
      const state = $('.state', part), note = document.createElement('p');
      part.dataset.health = now;
      state.classList.replace('good', 'bad');
      state.lastChild.textContent = now === 'fail' ? ' cannot serve' : ' can be read, and nothing can be saved';
      note.className = 'note bad';
      note.textContent = 'The server says: ' + (unsaved?.message ?? health.message) + '.';
      $(':scope > .note.bad', part)?.remove();
      state.after(note);
    }
    await renew([part, ...$$('.chart')]);
    say($('[data-health] .state').textContent);
  });
}

// ---- several tabs --------------------------------------------------------------------------------------------------

// area is what a change concerns: one organisation's secrets, for example.
const area = (path) => path.slice(root.length).split('/').slice(0, 4).join('/').replace(/secret$/, 'secrets');
const tabs = 'BroadcastChannel' in window ? new BroadcastChannel('strongroom') : null;
if (tabs) {
  tabs.onmessage = (event) => {
    if (event.data !== area(location.pathname) || $('#changed')) return;
    const note = document.createElement('p');
    note.id = 'changed';
    note.setAttribute('role', 'status');
    const again = document.createElement('a');
    again.href = location.href;
    again.textContent = 'Show it as it is now';
    note.append('Something was changed here in another tab. ', again);
    $('.notices').append(note);
  };
}
