// The list of secrets: search, sort and filter as you type over all names, which are fetched behind the page, and choose several.
// Where they do not come, the page works as it does without this file. Go does the same (package listing).
'use strict';

(() => {
  const form = $('#chosen');
  if (!form) return;
  const list = $('#names'), found = $('#found'), more = $('#more'), where = $('#where'), turn = $('#turn'), tally = $('#tally');
  const search = $('#q'), order = $('#sort'), show = $('#show'), all = $('#all'), remove = $('#delete');
  const base = form.dataset.base, step = 50, folded = 30, day = 86400;
  const chosen = new Set();
  // As in Go (words.Unseen): characters that nobody sees, or that turn what is beside them.
  const unseen = (name) => [...new Set(name.match(/[\p{Cf}\p{Zl}\p{Zp}\u034f\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}/gu))]
    .map((c) => 'U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')).join(', ');
  const number = (n) => n.toLocaleString('en');
  const count = (n, what) => number(n) + ' ' + what + (n === 1 ? '' : 's');
  let rows = null, matching = [], items, shown = 0; // rows: null until the names are there
  let failed = false; // what is known beside the names did not come: the server searches, sorts and filters
  let inside = '', flat = false, dated = 'dated' in list.dataset;

  const rowPattern = $('#row').content.firstElementChild, folderPattern = $('#folder').content.firstElementChild;

  // moment is a time as in Go (the template "time").
  function moment(seconds) {
    const t = document.createElement('time'), d = new Date(seconds * 1000), iso = d.toISOString();
    t.dateTime = iso.slice(0, 19) + 'Z';
    t.title = d.getUTCDate() + ' ' + d.toLocaleString('en', { month: 'long', timeZone: 'UTC' }) + ' ' + d.getUTCFullYear() + ', ' + iso.slice(11, 19) + ' UTC';
    t.textContent = ago(d);
    return t;
  }
  function put(li, cell, what) {
    const into = $('.' + cell, li);
    if (!into) return;
    while (into.childNodes.length > 1) into.lastChild.remove();
    if (what) into.append(what);
  }
  // date fills in what is known beside the name.
  function date(li, r) {
    if (r.updated === undefined) return;
    put(li, 'updated', r.updated && moment(r.updated));
    put(li, 'by', r.by);
    put(li, 'used', r.used ? moment(r.used) : 'never');
    put(li, 'due', r.due && moment(r.due));
    const due = $('.due', li), now = Date.now() / 1000;
    due?.classList.toggle('over', r.due > 0 && r.due <= now);
    due?.classList.toggle('soon', r.due > now && soon(r));
    $('.by', li)?.classList.toggle('said', r.by !== '');
  }
  const soon = (r) => r.due > 0 && r.due < Date.now() / 1000 + 30 * day;
  const idle = (r) => r.since > 0 && r.since < Date.now() / 1000 - 90 * day;
  const filters = { due: soon, unused: idle, never: (r) => r.used === 0 };

  function row(r) {
    const li = rowPattern.cloneNode(true), name = r.name;
    const link = $('a', li), box = $('input', li), [copyName, copyFlux] = $$('.copy', li);
    link.textContent = name;
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
    date(li, r);
    return li;
  }
  function folder(f) {
    const li = folderPattern.cloneNode(true), link = $('a', li);
    $('span', link).textContent = f.folder;
    link.href = address({ in: f.folder });
    $('.count', li).textContent = count(f.count, 'name');
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
    list.append(...items.slice(shown, shown + step).map((i) => (i.folder ? folder(i) : row(i))));
    shown = Math.min(shown + step, items.length);
    tell();
  }
  function tell() {
    found.textContent = !matching.length ? (search.value ? 'None matches “' + search.value + '”.' : 'None matches.')
      : shown < items.length ? number(shown) + ' of ' + number(items.length) + ' shown' : search.value || show.value ? number(matching.length) + ' found' : '';
    button.textContent = 'Show ' + Math.min(step, items.length - shown) + ' more';
    more.replaceChildren(...(shown < items.length ? [button] : []));
    list.hidden = !matching.length;
  }

  // The orders, as in Go: what the column says nothing of comes last.
  const columns = { updated: ['updated', -1], by: ['by', 1], used: ['used', -1], due: ['due', 1] };
  function sorted(some) {
    const [column, turned] = order.value.split('-');
    if (order.value === 'down') return [...some].reverse();
    const by = columns[column];
    if (!by) return some;
    const [field, sign] = by, way = turned ? -sign : sign;
    const value = field === 'by' ? (r) => r.by.toLowerCase() : (r) => r[field];
    return [...some].sort((a, b) => {
      const x = value(a), y = value(b);
      return !x || !y ? Boolean(y) - Boolean(x) : x < y ? -way : x > y ? way : 0;
    });
  }
  // fold puts names that begin alike into folders.
  function fold(some) {
    const can = !search.value && !show.value && !columns[order.value.split('-')[0]] && some.length > folded;
    let folds = false;
    const all = [], at = new Map();
    for (const r of some) {
      const end = r.name.indexOf('/', inside.length);
      if (!can || flat || end < 0 || end === r.name.length - 1) {
        folds ||= can && end >= 0;
        all.push(r);
        continue;
      }
      const name = r.name.slice(0, end + 1), there = at.get(name);
      if (there) {
        there.count++;
        folds = true;
      } else {
        at.set(name, { folder: name, count: 1, one: r });
        all.push(at.get(name));
      }
    }
    turn.hidden = !folds;
    turn.textContent = flat ? 'Folders' : 'All names';
    turn.href = address({ flat: !flat });
    return all.map((i) => (i.folder && i.count === 1 ? i.one : i));
  }
  function address(other = {}) {
    const now = { q: search.value, in: inside, sort: order.value, show: show.value, flat, ...other };
    if (other.in !== undefined) now.q = now.show = now.flat = '';
    const query = new URLSearchParams();
    for (const name of ['q', 'in', 'sort', 'show']) if (now[name]) query.set(name, now[name]);
    if (now.flat) query.set('flat', '1');
    return query.size ? '?' + query : location.pathname;
  }
  function crumbs() {
    const parts = inside.split('/').slice(0, -1);
    const link = (text, to) => {
      const a = document.createElement('a');
      a.textContent = text;
      a.href = address({ in: to });
      if (to) a.className = 'mono';
      return a;
    };
    where.replaceChildren(...(parts.length ? [link('All', '')] : []), ...parts.flatMap((p, i) => [' / ', link(p + '/', parts.slice(0, i + 1).join('/') + '/')]));
    for (const a of $$('#cols a')) {
      const [column, turned] = order.value === 'down' ? ['', 'down'] : order.value.split('-');
      a.toggleAttribute('aria-current', a.dataset.sort === column);
      if (a.dataset.sort === column) a.setAttribute('aria-current', turned ? 'step' : 'true');
    }
  }
  // same reports whether the list shows this already: the server has made it, or an earlier look.
  const same = (i, li) => li && (i.folder
    ? li.className === 'folder' && $('a', li).textContent === i.folder && $('.count', li).textContent === count(i.count, 'name')
    : li.className !== 'folder' && $('a', li).textContent === i.name);
  // left reports whether an order or a filter is the server's to make.
  const left = (dates) => dates && failed && !dated || !rows && failed;
  // known reports whether what the list is searched, sorted and filtered by is there.
  const known = () => rows && (dated || (!show.value && !columns[order.value.split('-')[0]]));
  function look(keep = true) {
    if (!known()) {
      found.textContent = failed ? 'Press Enter to search.' : 'The names are on their way…';
      if (rows) ask();
      return;
    }
    const wanted = search.value.toLowerCase(), takes = filters[show.value];
    matching = rows.filter((r) => r.name.startsWith(inside) && r.folded.includes(wanted) && (!takes || takes(r)));
    items = fold(sorted(matching));
    shown = Math.min(step, items.length);
    if (list.children.length === shown && items.slice(0, shown).every((i, n) => same(i, list.children[n]))) {
      if (dated) [...list.children].forEach((li, n) => { if (!items[n].folder) date(li, items[n]); });
      tell();
    } else {
      shown = 0;
      list.replaceChildren();
      grow();
    }
    marks();
    crumbs();
    // A reload and a link keep the search; it is no new page in the history.
    if (keep) history.replaceState(null, '', address());
  }
  function marks() {
    if (!remove) return;
    remove.textContent = chosen.size ? 'Delete ' + number(chosen.size) + ' selected…' : 'Delete selected…';
    remove.disabled = !chosen.size;
    all.disabled = !rows || !matching.length;
    all.checked = chosen.size > 0 && matching.length > 0 && matching.every((r) => chosen.has(r.name));
    all.indeterminate = chosen.size > 0 && !all.checked;
  }
  function says() {
    const of = (name, words) => {
      const n = rows.filter(filters[name]).length;
      if (!n) return [];
      const a = document.createElement('a');
      a.href = '?show=' + name;
      a.textContent = number(n) + ' ' + words;
      return [a];
    };
    const said = [...of('due', 'due within 30 days'), ...of('unused', 'unused for 90 days')];
    tally.replaceChildren(...said.flatMap((a, i) => (i ? [', ', a] : [a])));
  }

  // follow opens what a link of the list leads to, without asking the server.
  function follow(address) {
    const query = new URL(address, location.href).searchParams;
    search.value = query.get('q') ?? '';
    order.value = query.get('sort') ?? '';
    show.value = query.get('show') ?? '';
    inside = query.get('in') ?? '';
    flat = query.has('flat');
    if (inside && !inside.endsWith('/')) inside += '/';
    look(false);
  }
  for (const part of [list, where, tally, $('#cols'), turn]) {
    part.addEventListener('click', (event) => {
      const a = event.target.closest('a');
      if (!a || !rows || left('sort' in a.dataset) || event.ctrlKey || event.metaKey || event.shiftKey || new URL(a.href).pathname !== location.pathname) return;
      event.preventDefault();
      if ('sort' in a.dataset) {
        const down = { '': 'down', updated: 'updated-up', by: 'by-down', used: 'used-up', due: 'due-down' };
        order.value = order.value === a.dataset.sort ? down[a.dataset.sort] : a.dataset.sort;
        look();
        return;
      }
      history.pushState(null, '', a.href);
      follow(a.href);
      if (part === list) $('a', list)?.focus();
    });
  }
  window.addEventListener('popstate', () => { if (rows) follow(location.href); });

  search.addEventListener('input', () => look());
  for (const select of [order, show]) select.addEventListener('change', () => (left(true) ? $('#search').requestSubmit() : look()));
  $('#search').addEventListener('submit', (event) => { if (known()) event.preventDefault(); }); // else the server searches
  // The arrows go through the list, from the search on.
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key === '/' && !event.target.closest('input, textarea, select, dialog')) {
      event.preventDefault();
      search.focus();
    }
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key], li = event.target.closest('#names > li');
    if (!way || (!li && event.target !== search)) return;
    const next = li ? (way > 0 ? li.nextElementSibling : li.previousElementSibling) : way > 0 && list.firstElementChild;
    event.preventDefault();
    (next ? $('a', next) : way < 0 ? search : null)?.focus();
  });
  list.addEventListener('change', (event) => {
    if (event.target.name !== 'key') return;
    if (event.target.checked) chosen.add(event.target.value); else chosen.delete(event.target.value);
    marks();
  });
  all?.addEventListener('change', () => {
    for (const r of matching) if (all.checked) chosen.add(r.name); else chosen.delete(r.name);
    for (const box of $$('input[name=key]', list)) box.checked = all.checked;
    marks();
  });
  // What is chosen and not shown goes along.
  form.addEventListener('formdata', (event) => {
    event.formData.delete('key');
    event.formData.append('keys', JSON.stringify([...chosen]));
  });

  const query = new URLSearchParams(location.search);
  inside = query.get('in') ?? '';
  if (inside && !inside.endsWith('/')) inside += '/';
  flat = query.has('flat');
  for (const box of $$('input[name=key]:checked', list)) chosen.add(box.value);

  // begin takes over from the page as the server made it, first with names alone, where they come sooner.
  function begin(names) {
    if (rows) return;
    rows = names.map((name) => ({ name, folded: name.toLowerCase() }));
    form.dataset.ready = '1';
    look(Boolean(search.value || order.value || show.value || inside || flat));
    // What is known beside the names takes longer. It comes behind them, once they can be used.
    requestAnimationFrame(() => setTimeout(ask));
  }
  let asked = false;
  function ask() {
    if (asked) return;
    asked = true;
    get('dates').then(know, () => {
      asked = false;
      failed = true;
      if (!known() && (rows || search.value)) found.textContent = 'Press Enter to search.';
    });
  }
  function know(c) {
    failed = false;
    rows = c.names.map((name, i) => ({ name, folded: name.toLowerCase(), updated: c.updated[i], by: c.people[c.by[i]], used: c.used[i], due: c.due[i], since: c.since[i] }));
    const first = form.dataset.ready !== '1';
    form.dataset.ready = '1';
    dated = true;
    says();
    const at = document.activeElement?.closest?.('#names > li') ?? null;
    if (first || !at && shown <= step) return look(Boolean(search.value || order.value || show.value || inside || flat));
    // Somebody is in the list: it stays, and its rows are filled in.
    const byName = new Map(rows.map((r) => [r.name, r]));
    for (const li of list.children) {
      const r = byName.get($('a', li).textContent);
      if (r) date(li, r);
    }
    matching = matching.map((r) => byName.get(r.name) ?? r);
    items = items.map((i) => (i.folder ? i : byName.get(i.name) ?? i));
  }
  const get = (what) => fetch(base + '/secrets/' + what, { redirect: 'error' })
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(answer.status))));
  if (remove) marks(); // all there are can be chosen once they are known
  // Where the page shows all there are, nothing need be fetched.
  const shownRows = () => [...list.children].map((li) => {
    const at = (cell) => (Date.parse($('.' + cell + ' time', li)?.dateTime) || 0) / 1000;
    const name = $('a', li).textContent;
    return { name, folded: name.toLowerCase(), updated: at('updated'), by: $('.by', li)?.childNodes[1]?.textContent ?? '', used: at('used'), due: at('due'), since: Number(li.dataset.since) };
  });
  if (dated && !$('.folder', list) && list.children.length === Number(list.dataset.total)) {
    // In the order of the names, as the server gives it.
    const natural = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });
    rows = shownRows();
    if (order.value) rows.sort((a, b) => natural.compare(a.name, b.name));
    form.dataset.ready = '1';
    look(Boolean(search.value || order.value));
    return;
  }
  if (dated) ask();
  else get('names').then(begin, ask); // which brings the names, too
})();
