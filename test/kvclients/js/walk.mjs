// Walks through KV version 2 with two clients for Node.js. Its argument is the organisation's name; the variables are Vault's own.
import assert from 'node:assert/strict';
import vault from 'node-vault';
import { Client } from '@litehex/node-vault';

const org = process.argv[2];
const endpoint = process.env.VAULT_ADDR, token = process.env.VAULT_TOKEN;

const nv = vault({ apiVersion: 'v1', endpoint, token });
assert.equal((await nv.health()).sealed, false);
assert.equal((await nv.tokenLookupSelf()).data.type, 'service');
const made = await nv.write(`secret/data/${org}/node/a`, { data: { user: 'u', password: 'one' }, options: { cas: 0 } });
assert.equal(made.data.version, 1);
await assert.rejects(nv.write(`secret/data/${org}/node/a`, { data: {}, options: { cas: 0 } }), /check-and-set/);
await nv.update(`secret/data/${org}/node/a`, { data: { password: 'two' } });
assert.deepEqual((await nv.read(`secret/data/${org}/node/a`)).data.data, { user: 'u', password: 'two' });
assert.equal((await nv.read(`secret/data/${org}/node/a?version=1`)).data.data.password, 'one');
assert.deepEqual((await nv.list(`secret/metadata/${org}/node`)).data.keys, ['a']);
await nv.delete(`secret/data/${org}/node/a`);
await assert.rejects(nv.read(`secret/data/${org}/node/a`));
await assert.rejects(vault({ endpoint, token: 'nonsense' }).read(`secret/data/${org}`), /permission denied/);

// This one holds the answers against a schema, and calls its bodies text.
const lite = new Client({ endpoint, token });
const kept = await lite.kv2.write({ mountPath: 'secret', path: `${org}/node/b`, data: { value: 'text' } });
assert.ok(!kept.error, JSON.stringify(kept.error));
const read = await lite.kv2.read({ mountPath: 'secret', path: `${org}/node/b` });
assert.ok(!read.error, JSON.stringify(read.error));
assert.equal((read.data ?? read).data.data?.value ?? read.data.data.value, 'text');

console.log('walked to the end');
