// Forms that keep what was typed: a form with data-live is sent by fetch, and the page stays as it is until the server has
// taken it. Without this file the same forms are sent as ever.
'use strict';

// refuse shows why, at the head of the form, with where to look further.
function refuse(form, text, path, link) {
  let note = $(':scope > .note.bad', form);
  if (!note) {
    note = document.createElement('p');
    note.className = 'note bad';
    note.setAttribute('role', 'alert');
    form.prepend(note);
  }
  note.textContent = '';
  note.textContent = /[.!?:…]$/.test(text) ? text : text + '.';
  if (path) {
    const further = document.createElement('a');
    further.href = path;
    further.textContent = link;
    note.append(' ', further, '.');
  }
  note.scrollIntoView({ block: 'nearest' });
}

// body is what is sent. A typed value goes as a file, whose bytes arrive as they are: browsers write the line ends of a text
// field as CRLF.
function body(form, submitter) {
  const data = new FormData(form, submitter);
  const value = $('textarea[name=value]', form);
  if (!value) return new URLSearchParams(data);
  const file = $('input[type=file]', form);
  if (!file.files.length && value.value) data.set('file', new Blob([value.value]), 'typed');
  data.delete('value');
  return data;
}

// tooLarge says why a form would be refused before all of it is sent: the server cuts such a request off, which looks like a
// lost connection.
function tooLarge(form) {
  const box = $('.value', form);
  if (!box) return '';
  const size = $('input[type=file]', box).files[0]?.size ?? new Blob([$('textarea', box).value]).size;
  const most = Number(box.dataset.max);
  const mib = (bytes) => (bytes / 1048576).toFixed(1) + ' MiB';
  return size + 4096 > most ? 'That is ' + mib(size) + ', and larger than the ' + mib(most) + ' that one request may have.' : '';
}

async function send(form, submitter) {
  if (form.getAttribute('aria-busy') === 'true') return;
  const large = tooLarge(form);
  if (large) return refuse(form, large);
  form.setAttribute('aria-busy', 'true');
  if (!form.closest('#note')) $('#note')?.remove(); // it is of what was done before; an undo that fails is told in it
  try {
    const answer = await fetch(form.action, { method: 'POST', body: body(form, submitter), headers: { 'Strongroom-Live': '1' }, redirect: 'error', cache: 'no-store' });
    await take(form, submitter, answer);
  } catch {
    connection.gone();
    refuse(form, 'The server cannot be reached, so this may not have been saved. It is all still here; try again when the server is back.');
  } finally {
    form.removeAttribute('aria-busy');
  }
}

async function take(form, submitter, answer) {
  connection.back();
  if (answer.headers.get('Strongroom-Session') === 'ended') return signInFirst(() => send(form, submitter));
  const go = answer.headers.get('Strongroom-Go');
  if (go) return goTo(form, go);
  if (!answer.ok) {
    let why = { code: '', message: 'The server answered ' + answer.status + '. Nothing was saved.' };
    try { why = await answer.json(); } catch { /* a proxy's page: what is said above serves */ }
    if (why.code === 'conflict') for (const extra of $$('[data-conflict]', form)) extra.hidden = false;
    return refuse(form, why.message, why.path, why.link);
  }
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const into = submitter?.dataset.into;
  if (into) {
    $(into).replaceChildren(...$(into, page).childNodes);
    $(':scope > .note.bad', form)?.remove();
    return;
  }
  const question = $('[data-dialog]', page);
  if (question) return ask(question);
  forget(form);
  $('#main').replaceChildren(...$('#main', page).childNodes);
  $('#note')?.remove();
  document.title = page.title;
  trueOrigin();
  if (!document.body.dataset.user) $('#main').classList.add('alone');
  $('#main h1').focus();
  window.scrollTo(0, 0);
}

function goTo(form, path) {
  if (form.closest('#session')) {
    form.closest('dialog').close();
    $('[name=password]', form).value = '';
    const resume = waiting;
    waiting = null;
    if (resume) resume();
    return;
  }
  forget(form);
  leaving = true;
  tabs?.postMessage(area(new URL(form.action).pathname));
  location.assign(path);
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.getAttribute('action') === root + '/signout') sessionStorage.clear(); // the drafts are the reader's, not the next one's
  if (!('live' in form.dataset) && form.closest('dialog') === null) { leaving = true; return; }
  if (form.id === 'chosen' && !form.dataset.ready) return;
  event.preventDefault();
  send(form, event.submitter);
});

// ---- a session that ended --------------------------------------------------------------------------------------------

let waiting = null;
function signInFirst(goOn) {
  const dialog = $('#session');
  if (!dialog) { location.assign(root + '/signin'); return; }
  waiting = goOn;
  if (!dialog.open) dialog.showModal();
  $('[name=password]', dialog).focus();
}

// ---- questions before a deletion -------------------------------------------------------------------------------------

function ask(question) {
  const dialog = $('#ask');
  dialog.replaceChildren(question);
  dialog.setAttribute('aria-label', $('h1', question).textContent);
  if (!dialog.open) dialog.showModal();
  // Where not all of it fits, what is asked is read before what can be answered.
  const asked = $('h1', question);
  asked.tabIndex = -1;
  (dialog.scrollHeight > dialog.clientHeight ? asked : $('input:not([type=hidden])', question) ?? $('[data-close]', question)).focus();
  if (document.activeElement === asked) dialog.scrollTop = 0;
}

// askBy shows the question that a link leads to.
async function askBy(link) {
  try {
    const answer = await fetch(link.href, { cache: 'no-store', headers: { 'Strongroom-Live': '1' } });
    if (answer.headers.get('Strongroom-Session') === 'ended') return signInFirst(() => askBy(link));
    const question = $('[data-dialog]', new DOMParser().parseFromString(await answer.text(), 'text/html'));
    if (question) ask(question); else location.assign(link.href); // the page says what is wrong
  } catch {
    connection.gone();
  }
}

document.addEventListener('click', (event) => {
  const close = event.target.closest('dialog [data-close]');
  if (close) {
    event.preventDefault();
    waiting = null;
    close.closest('dialog').close();
    return;
  }
  const link = event.target.closest('a[data-ask]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  askBy(link);
});

// ---- values ----------------------------------------------------------------------------------------------------------

function fileChosen(box) {
  const input = $('input[type=file]', box);
  const chosen = input.files.length > 0;
  $('textarea', box).disabled = chosen;
  const generate = $('[data-generate]', box);
  if (generate) generate.hidden = chosen;
  $('[data-nofile]', box).hidden = !chosen;
  if (chosen) say(input.files[0].name + ' is taken as the value.');
}
for (const box of $$('.value')) {
  const input = $('input[type=file]', box);
  input.addEventListener('change', () => fileChosen(box));
  $('[data-nofile]', box).addEventListener('click', () => { input.value = ''; fileChosen(box); $('textarea', box).focus(); });
  const form = box.closest('form');
  for (const name of ['dragenter', 'dragover']) form.addEventListener(name, (event) => { event.preventDefault(); box.classList.add('over'); });
  for (const name of ['dragleave', 'drop']) form.addEventListener(name, () => box.classList.remove('over'));
  form.addEventListener('drop', (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      fileChosen(box);
    } else if (event.dataTransfer.types.includes('text/plain')) {
      const text = event.dataTransfer.getData('text/plain');
      if (!putHeavy(box, text)) $('textarea', box).setRangeText(text);
    }
  });
  $('textarea', box).addEventListener('paste', (event) => {
    if (putHeavy(box, event.clipboardData.getData('text/plain'))) event.preventDefault();
  });
}

// A value that nobody has thought up: 256 bits, in letters, digits, - and _.
for (const button of $$('[data-generate]')) {
  button.addEventListener('click', () => {
    const field = $('textarea', button.closest('.value'));
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    field.value = btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    field.dispatchEvent(new Event('input', { bubbles: true }));
    say('A value of 43 characters was generated.');
  });
}

// Ctrl and Enter send a form from each of its fields: in one of several lines, Enter begins a new one.
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || !event.target.matches('form :is(textarea, input, select)')) return;
  event.preventDefault();
  event.target.form.requestSubmit($('.button:not(.quiet):not([type=button])', event.target.form));
});

// putHeavy takes a text as a file where a field would stand still for seconds at each key: one line of 500 kB does that.
function putHeavy(box, text) {
  const field = $('textarea', box), input = $('input[type=file]', box);
  const whole = field.value.slice(0, field.selectionStart) + text.replace(/\r\n?/g, '\n') + field.value.slice(field.selectionEnd);
  if (whole.length < 65536 && !/[^\n]{10000}/.test(whole)) return false;
  const files = new DataTransfer();
  files.items.add(new File([whole], 'the pasted text'));
  field.value = '';
  input.files = files.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
  return true;
}

// A value must not lie in the browser's storage, nor a new token, so a reload would lose them: the browser asks first.
let leaving = false;
window.addEventListener('beforeunload', (event) => {
  const unsaved = $$('.value').some((box) => $('textarea', box).value || $('input[type=file]', box).files.length);
  const shownOnce = $('.code.token .copy:not([data-taken])'); // a token that nobody has copied
  if ((unsaved || shownOnce) && !leaving) event.preventDefault();
});
document.addEventListener('click', (event) => { if (event.target.closest('[data-leave]')) leaving = true; });
window.addEventListener('pageshow', () => {
  leaving = false;
  $$('.value').forEach(fileChosen);
});
// Nor must it lie in what the browser keeps to go back to, where the next one at this desk finds it.
window.addEventListener('pagehide', () => {
  for (const field of $$('.value textarea, .value [type=file], [type=password]')) field.value = '';
  for (const shown of $$('.token code')) shown.textContent = 'shown once, and gone';
});

// ---- everything else that was typed outlives a reload of this tab ------------------------------------------------------

// The fields of a draft: never a value, a password or a file. What a description was when it was begun belongs to it, so that
// it does not overwrite unknowingly what others wrote since.
const kept = (form) => $$('input, select, textarea', form).filter((f) => f.name === 'seen' || (f.name && f.name !== 'take' && f.name !== 'value' && !['password', 'file', 'hidden', 'submit'].includes(f.type)));
const ticked = (field) => field.type === 'checkbox' || field.type === 'radio';
const typed = (form) => kept(form).map((f) => (ticked(f) ? f.checked : f.value));
function fill(form, what) {
  kept(form).forEach((field, i) => { if (ticked(field)) field.checked = what[i]; else field.value = what[i]; });
}
const draft = (form) => ['draft', document.body.dataset.user, location.pathname, new URL(form.action).pathname, $('[type=hidden][name=key]', form)?.value].join(' ');
function forget(form) { sessionStorage.removeItem(draft(form)); }

function recall(form) {
  const own = typed(form), saved = JSON.parse(sessionStorage.getItem(draft(form)) ?? 'null');
  if (saved?.length !== own.length || $('#main > .note.bad')) return;
  if (JSON.stringify(saved) === JSON.stringify(own)) return forget(form);
  fill(form, saved);
  form.closest('details')?.setAttribute('open', '');
  const note = document.createElement('p');
  note.className = 'note draft';
  const undo = document.createElement('button');
  undo.type = 'button';
  undo.className = 'link';
  undo.textContent = 'Discard it';
  undo.addEventListener('click', () => {
    fill(form, own);
    forget(form);
    note.remove();
    $('input:not([type=hidden]), textarea', form).focus();
  });
  note.append('Not saved yet: what you had typed here. ', undo);
  form.prepend(note);
}

for (const form of $$('form[data-keep]')) {
  recall(form);
  form.addEventListener('input', () => sessionStorage.setItem(draft(form), JSON.stringify(typed(form))));
}

// A preview is of what was looked at, and of nothing that was typed or chosen since.
for (const button of $$('[data-into]')) {
  for (const name of ['input', 'change', 'drop']) button.form.addEventListener(name, (event) => { if (!event.target.closest(button.dataset.into)) $(button.dataset.into).replaceChildren(); });
}
