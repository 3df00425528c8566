// The list of secrets: search as you type over all names, which are fetched behind the page, and choose several. Where they do
// not come, the page works as it does without this file.
'use strict';

(() => {
  const form = $('#chosen');
  if (!form) return;
  const list = $('#names'), found = $('#found'), more = $('#more');
  const search = $('#q'), order = $('#sort'), all = $('#all'), remove = $('#delete');
  const base = form.dataset.base, step = 100;
  const chosen = new Set();
  // As in Go (words.Unseen): characters that nobody sees, or that turn what is beside them.
  const unseen = (name) => [...new Set(name.match(/[\p{Cf}\p{Zl}\p{Zp}\u034f\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}/gu))]
    .map((c) => 'U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')).join(', ');
  const number = (n) => n.toLocaleString('en');
  let names = null, folded, matching, shown = 0; // names: null until they are there

  // The rows that the server made are the pattern for all.
  const pattern = list.firstElementChild?.cloneNode(true);
  if (!pattern) return;
  function row(name) {
    const li = pattern.cloneNode(true);
    const link = $('a', li), box = $('input', li), [copyName, copyFlux] = $$('.copy', li);
    link.textContent = name;
    $('.unseen', li)?.remove();
    const odd = unseen(name);
    if (odd) {
      const badge = document.createElement('span');
      badge.className = 'badge warn unseen';
      badge.textContent = 'has ' + odd;
      link.after(badge);
    }
    link.href = base + '/secret?key=' + encodeURIComponent(name);
    copyName.setAttribute('aria-label', 'Copy the name ' + name);
    copyFlux.setAttribute('aria-label', 'Copy the Flux call for ' + name);
    if (box) {
      box.value = name;
      box.checked = chosen.has(name);
      box.setAttribute('aria-label', 'Select ' + name);
    }
    return li;
  }

  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'button quiet';
  button.addEventListener('click', () => {
    const first = shown;
    grow();
    $('a', list.children[first])?.focus();
  });

  function grow() {
    list.append(...matching.slice(shown, shown + step).map(row));
    shown = Math.min(shown + step, matching.length);
    tell();
  }
  function tell() {
    found.textContent = !matching.length ? 'None matches “' + search.value + '”.'
      : shown < matching.length ? number(shown) + ' of ' + number(matching.length) + ' shown' : search.value ? number(matching.length) + ' found' : '';
    button.textContent = 'Show ' + Math.min(step, matching.length - shown) + ' more';
    more.replaceChildren(...(shown < matching.length ? [button] : []));
    list.hidden = !matching.length;
  }
  function look() {
    if (!names) {
      found.textContent = 'The names are on their way…';
      return;
    }
    const wanted = search.value.toLowerCase();
    matching = wanted ? names.filter((_, i) => folded[i].includes(wanted)) : names;
    if (order.value === 'down') matching = [...matching].reverse();
    shown = 0;
    list.replaceChildren();
    grow();
    marks();
    // A reload and a link keep the search; it is no new page in the history.
    const query = new URLSearchParams();
    if (search.value) query.set('q', search.value);
    if (order.value) query.set('sort', order.value);
    history.replaceState(null, '', query.size ? '?' + query : location.pathname);
  }
  function marks() {
    if (!remove) return;
    remove.textContent = chosen.size ? 'Delete ' + number(chosen.size) + ' selected…' : 'Delete selected…';
    remove.disabled = !chosen.size;
    all.disabled = !matching.length;
    all.checked = chosen.size > 0 && matching.length > 0 && matching.every((n) => chosen.has(n));
    all.indeterminate = chosen.size > 0 && !all.checked;
  }

  search.addEventListener('input', look);
  order.addEventListener('change', look);
  $('#search').addEventListener('submit', (event) => { if (names) event.preventDefault(); }); // else the server searches
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
    event.preventDefault();
    search.focus();
  });
  list.addEventListener('change', (event) => {
    if (event.target.name !== 'key') return;
    if (event.target.checked) chosen.add(event.target.value); else chosen.delete(event.target.value);
    marks();
  });
  all?.addEventListener('change', () => {
    for (const n of matching) if (all.checked) chosen.add(n); else chosen.delete(n);
    for (const box of $$('input[name=key]', list)) box.checked = all.checked;
    marks();
  });
  // What is chosen and not shown goes along.
  form.addEventListener('formdata', (event) => {
    event.formData.delete('key');
    event.formData.append('keys', JSON.stringify([...chosen]));
  });

  // begin takes over from the page as the server made it.
  function begin(all) {
    names = all;
    folded = names.map((n) => n.toLowerCase());
    matching = names;
    form.dataset.ready = '1';
    shown = list.children.length;
    if (location.search || search.value || order.value) look(); else tell();
    marks();
  }

  for (const box of $$('input[name=key]:checked', list)) chosen.add(box.value);
  const rows = $$('a', list).map((a) => a.textContent);
  if (rows.length === Number(list.dataset.total)) {
    begin(order.value === 'down' ? rows.reverse() : rows);
    return;
  }
  fetch(form.dataset.base + '/secrets/names', { redirect: 'error' })
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(answer.status))))
    .then(begin, () => { if (search.value) found.textContent = 'Press Enter to search.'; });
})();
