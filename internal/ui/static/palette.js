// The command palette (Ctrl and K) goes to any page or secret by its name, and ? lists the keys. Without this file the menu
// leads everywhere, too.
'use strict';

(() => {
  const dialog = $('#palette'), keys = $('#keys');
  if (!dialog) return;
  const input = $('input', dialog), list = $('ul', dialog), at = document.body.dataset.at ?? '';
  let entries = [], shown = [], chosen = 0, names = null;

  const places = () => {
    const all = $$('.menu a').map((a) => [a.textContent.trim(), a.getAttribute('href')]);
    if (at) all.push(['Add a secret', at + '/secrets/new'], ['Import secrets', at + '/secrets/import'], ['Deleted secrets', at + '/secrets/deleted'], ['Create a token', at + '/tokens/new'], ['Compare names', at + '/compare']);
    all.push(['Organisations', root + '/orgs'], ['Due secrets', root + '/due'], ['Preferences', root + '/preferences'], ['Documentation', root + '/docs']);
    return all.map(([text, href]) => ({ text, href }));
  };
  async function open() {
    entries = places();
    input.value = '';
    dialog.showModal();
    look();
    if (!at || names) return;
    try {
      const answer = await fetch(at + '/secrets/names', { redirect: 'error' });
      if (answer.ok) names = await answer.json();
    } catch {
      return; // the pages can be gone to without them
    }
    look();
  }
  function look() {
    const wanted = input.value.toLowerCase();
    const fits = (text) => text.toLowerCase().includes(wanted);
    shown = entries.filter((e) => fits(e.text));
    if (wanted && names) shown.push(...names.filter(fits).slice(0, 20).map((name) => ({ text: name, name, href: at + '/secret?key=' + encodeURIComponent(name) })));
    shown = shown.slice(0, 30);
    chosen = 0;
    list.replaceChildren(...shown.map((e, i) => {
      const li = document.createElement('li');
      li.id = 'palette-' + i;
      li.setAttribute('role', 'option');
      li.textContent = e.text;
      if (e.name) li.className = 'mono';
      li.addEventListener('click', () => location.assign(e.href));
      return li;
    }));
    mark();
  }
  function mark() {
    $$('li', list).forEach((li, i) => {
      li.setAttribute('aria-selected', i === chosen);
      if (i === chosen) li.scrollIntoView({ block: 'nearest' });
    });
    input.setAttribute('aria-activedescendant', shown.length ? 'palette-' + chosen : '');
  }
  input.addEventListener('input', look);
  dialog.addEventListener('keydown', (event) => {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (way && shown.length) {
      event.preventDefault();
      chosen = (chosen + way + shown.length) % shown.length;
      mark();
    } else if (event.key === 'Enter' && event.target === input) {
      event.preventDefault();
      if (shown[chosen]) location.assign(shown[chosen].href);
    }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey && !$('dialog[open]')) {
      event.preventDefault();
      open();
    } else if (event.key === '?' && !event.ctrlKey && !event.metaKey && !event.target.closest('input, textarea, select, dialog')) {
      event.preventDefault();
      keys.showModal();
    }
  });
  $('#palette-open').addEventListener('click', open);

  // In the lists that have no keys of their own, the arrows go from link to link.
  document.addEventListener('keydown', (event) => {
    const way = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key];
    const li = event.target.closest('main .list:not(.names) > li');
    if (!way || !li || event.target.matches('input, select, textarea') || event.ctrlKey || event.altKey || event.metaKey) return;
    let next = li[way];
    while (next && (next.hidden || !$('a, button', next))) next = next[way];
    if (!next) return;
    event.preventDefault();
    $('a, button', next).focus();
  });
})();
