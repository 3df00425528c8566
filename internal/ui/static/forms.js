// Forms that keep what was typed: a form with data-live is sent by fetch, and the page stays as it is until the server has
// taken it. Without this file the same forms are sent as ever.
'use strict';

// refuse shows why, at the head of the form.
function refuse(form, text) {
  let note = $(':scope > .note.bad', form);
  if (!note) {
    note = document.createElement('p');
    note.className = 'note bad';
    note.setAttribute('role', 'alert');
    form.prepend(note);
  }
  note.textContent = '';
  note.textContent = text;
  note.scrollIntoView({ block: 'nearest' });
}

// body is what is sent. A typed value goes as a file, whose bytes arrive as they are: browsers write the line ends of a text
// field as CRLF.
function body(form, submitter) {
  const data = new FormData(form, submitter);
  const typed = $('textarea[name=value]', form);
  if (!typed) return new URLSearchParams(data);
  const file = $('input[type=file]', form);
  if (!file.files.length && typed.value) data.set('file', new Blob([typed.value]), 'typed');
  data.delete('value');
  return data;
}

async function send(form, submitter) {
  if (form.getAttribute('aria-busy') === 'true') return;
  form.setAttribute('aria-busy', 'true');
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
  if (answer.headers.get('Strongroom-Session') === 'ended') return signInFirst(form, submitter);
  const go = answer.headers.get('Strongroom-Go');
  if (go) return goTo(form, go);
  if (!answer.ok) {
    let why = { code: '', message: 'The server answered ' + answer.status + '. Nothing was saved.' };
    try { why = await answer.json(); } catch { /* a proxy's page: what is said above serves */ }
    if (why.code === 'conflict') for (const extra of $$('[data-conflict]', form)) extra.hidden = false;
    return refuse(form, why.message);
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
  document.title = page.title;
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
  if (!('live' in form.dataset) && form.closest('dialog') === null) { leaving = true; return; }
  if (form.id === 'chosen' && !form.dataset.ready) return;
  event.preventDefault();
  send(form, event.submitter);
});

// ---- a session that ended --------------------------------------------------------------------------------------------

let waiting = null;
function signInFirst(form, submitter) {
  const dialog = $('#session');
  if (!dialog) { location.assign('/signin'); return; }
  waiting = () => send(form, submitter);
  if (!dialog.open) dialog.showModal();
  $('[name=password]', dialog).focus();
}

// ---- questions before a deletion -------------------------------------------------------------------------------------

function ask(question) {
  const dialog = $('#ask');
  dialog.replaceChildren(question);
  dialog.setAttribute('aria-label', $('h1', question).textContent);
  if (!dialog.open) dialog.showModal();
  ($('input:not([type=hidden])', question) ?? $('[data-close]', question)).focus();
}

document.addEventListener('click', async (event) => {
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
  try {
    const answer = await fetch(link.href, { cache: 'no-store' });
    const question = $('[data-dialog]', new DOMParser().parseFromString(await answer.text(), 'text/html'));
    if (question) ask(question); else location.assign(link.href); // the page says what is wrong
  } catch {
    connection.gone();
  }
});

// ---- values ----------------------------------------------------------------------------------------------------------

function fileChosen(box) {
  const input = $('input[type=file]', box);
  const chosen = input.files.length > 0;
  $('textarea', box).disabled = chosen;
  $('[data-nofile]', box).hidden = !chosen;
  if (chosen) say('The file ' + input.files[0].name + ' is taken as the value.');
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
      $('textarea', box).setRangeText(event.dataTransfer.getData('text/plain'));
    }
  });
}

// A value must not lie in the browser's storage, so a reload would lose it: the browser asks first.
let leaving = false;
window.addEventListener('beforeunload', (event) => {
  const typed = $$('.value').some((box) => $('textarea', box).value || $('input[type=file]', box).files.length);
  if (typed && !leaving) event.preventDefault();
});
window.addEventListener('pageshow', () => { leaving = false; });

// ---- everything else that was typed outlives a reload of this tab ------------------------------------------------------

const draft = (form) => 'draft ' + (document.body.dataset.user ?? '') + ' ' + location.pathname + ' ' + new URL(form.action).pathname;
const kept = (form) => $$('input, select, textarea', form).filter((f) => f.name && f.name !== 'value' && !['password', 'file', 'hidden', 'submit'].includes(f.type));
function forget(form) { sessionStorage.removeItem(draft(form)); }
for (const form of $$('form[data-keep]')) {
  const saved = JSON.parse(sessionStorage.getItem(draft(form)) ?? 'null');
  if (saved && !$('#main > .note.bad')) {
    kept(form).forEach((field, i) => {
      if (!(i in saved)) return;
      if (field.type === 'checkbox' || field.type === 'radio') field.checked = saved[i]; else field.value = saved[i];
    });
  }
  form.addEventListener('input', () => {
    sessionStorage.setItem(draft(form), JSON.stringify(kept(form).map((f) => (f.type === 'checkbox' || f.type === 'radio' ? f.checked : f.value))));
  });
}
