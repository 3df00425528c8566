// Walks the API with InfluxData's client as it is published. Run by ../clients/js_test.go with the server's URL.
import assert from 'node:assert/strict'
import {HttpError, InfluxDB} from '@influxdata/influxdb-client'
import {
  AuthorizationsAPI, BucketsAPI, ConfigAPI, HealthAPI, MeAPI, OrgsAPI, PingAPI, ReadyAPI, ResourcesAPI, RootAPI, SetupAPI, SigninAPI,
  SignoutAPI, UsersAPI,
} from '@influxdata/influxdb-client-apis'

const url = process.argv[2]

// refused expects an error that the client understands.
async function refused(call, status, code, message) {
  await assert.rejects(call, error => {
    assert(error instanceof HttpError, `${error}`)
    assert.equal(error.statusCode, status)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}

const nobody = new InfluxDB({url})
await refused(new OrgsAPI(nobody).getOrgs(), 401, 'unauthorized', /unauthorized access/)
await refused(new OrgsAPI(new InfluxDB({url, token: 'none'})).getOrgs(), 401, 'unauthorized', /unauthorized access/)
assert.equal((await new HealthAPI(nobody).getHealth()).status, 'pass')
assert.equal((await new ReadyAPI(nobody).getReady()).status, 'ready')
await new PingAPI(nobody).getPing()
assert.equal((await new RootAPI(nobody).getRoutes()).orgs, '/api/v2/orgs')

const setup = new SetupAPI(nobody)
assert.equal((await setup.getSetup()).allowed, true)
await refused(setup.postSetup({body: {username: 'ann', password: 'short', org: 'acme', bucket: 'metrics'}}), 400, 'invalid', /between 8 and 72/)
const first = await setup.postSetup({
  body: {username: 'ann', password: "ann's long password", org: 'acme', bucket: 'metrics', retentionPeriodSeconds: 86400},
})
assert.equal((await setup.getSetup()).allowed, false)
await refused(setup.postSetup({body: {username: 'ann', org: 'acme', bucket: 'metrics'}}), 422, 'conflict', /already been completed/)
assert.equal(first.bucket.retentionRules[0].everySeconds, 86400)

const influx = new InfluxDB({url, token: first.auth.token})
const [orgs, users, auths, buckets] = [new OrgsAPI(influx), new UsersAPI(influx), new AuthorizationsAPI(influx), new BucketsAPI(influx)]
const orgID = first.org.id
assert.equal((await new MeAPI(influx).getMe()).name, 'ann')
assert((await new ResourcesAPI(influx).getResources()).includes('secrets'))
assert((await new ConfigAPI(influx).getConfig()).config)

// Secrets.
assert.deepEqual((await orgs.getOrgsIDSecrets({orgID})).secrets, [])
await orgs.patchOrgsIDSecrets({orgID, body: {hello: 'world', foo: 'bar', 'ключ 🔑': 'знач'}})
assert.deepEqual((await orgs.getOrgsIDSecrets({orgID})).secrets, ['foo', 'hello', 'ключ 🔑'])
await refused(orgs.patchOrgsIDSecrets({orgID, body: {foo: 1}}), 400, 'invalid', /must be a string/)
await orgs.postOrgsIDSecrets({orgID, body: {secrets: ['foo', 'ключ 🔑']}})
await orgs.deleteOrgsIDSecretsID({orgID, secretID: 'hello'})
assert.deepEqual((await orgs.getOrgsIDSecrets({orgID})).secrets, [])

// Organisations and who belongs to them.
const other = await orgs.postOrgs({body: {name: 'umbrella', description: 'rain'}})
await refused(orgs.postOrgs({body: {name: 'umbrella'}}), 422, 'conflict', /already exists/)
assert.equal((await orgs.patchOrgsID({orgID: other.id, body: {name: 'parasol'}})).name, 'parasol')
assert.equal((await orgs.getOrgsID({orgID: other.id})).description, 'rain')
assert.deepEqual((await orgs.getOrgs({org: 'parasol'})).orgs.map(o => o.id), [other.id])
assert.deepEqual((await orgs.getOrgs({limit: 1, offset: 1, descending: false})).orgs.map(o => o.name), ['parasol'])
await refused(orgs.getOrgs({org: 'umbrella'}), 404, 'not found', /organization name "umbrella" not found/)

const bob = await users.postUsers({body: {name: 'bob'}})
await users.postUsersIDPassword({userID: bob.id, body: {password: "bob's long password"}})
assert.equal((await users.patchUsersID({userID: bob.id, body: {name: 'bobby', status: 'active'}})).name, 'bobby')
assert.equal((await users.getUsersID({userID: bob.id})).name, 'bobby')
assert.deepEqual((await users.getUsers({name: 'bobby'})).users.map(u => u.id), [bob.id])
await orgs.postOrgsIDMembers({orgID, body: {id: bob.id}})
assert.deepEqual((await orgs.getOrgsIDMembers({orgID})).users.map(u => [u.name, u.role]), [['bobby', 'member']])
await orgs.postOrgsIDOwners({orgID: other.id, body: {id: bob.id}})
assert.deepEqual((await orgs.getOrgsIDOwners({orgID: other.id})).users.map(u => u.name), ['ann', 'bobby'])
await orgs.deleteOrgsIDOwnersID({orgID: other.id, userID: bob.id})

// Sessions: bob is a member of acme.
let cookie
await refused(new SigninAPI(nobody).postSignin({auth: {user: 'bobby', password: 'wrong password'}}), 401, 'unauthorized', /unauthorized access/)
await new SigninAPI(nobody).postSignin({auth: {user: 'bobby', password: "bob's long password"}}, {
  responseStarted: headers => { cookie = [headers['set-cookie']].flat()[0].split(';')[0] },
})
const asBob = {headers: {Cookie: cookie}}
assert.equal((await new MeAPI(nobody).getMe(undefined, asBob)).name, 'bobby')
assert.deepEqual((await new OrgsAPI(nobody).getOrgsIDSecrets({orgID}, asBob)).secrets, [])
await refused(new OrgsAPI(nobody).patchOrgsIDSecrets({orgID, body: {a: 'b'}}, asBob), 401, 'unauthorized', /^write:orgs\/[0-9a-f]{16}\/secrets is unauthorized$/)
await new SignoutAPI(nobody).postSignout(undefined, asBob)
await refused(new MeAPI(nobody).getMe(undefined, asBob), 401, 'unauthorized', /unauthorized access/)
await new MeAPI(nobody).putMePassword({auth: {user: 'bobby', password: "bob's long password"}, body: {password: 'another long password'}})
await new SigninAPI(nobody).postSignin({auth: {user: 'bobby', password: 'another long password'}})

// Authorizations: a token that sets what it cannot read.
const auth = await auths.postAuthorizations({body: {
  orgID, description: 'writes', permissions: [{action: 'write', resource: {type: 'secrets', orgID, name: 'db/*'}}],
}})
assert.equal(auth.permissions[0].resource.name, 'db/*')
const writer = new OrgsAPI(new InfluxDB({url, token: auth.token}))
await writer.patchOrgsIDSecrets({orgID, body: {'db/password': 'x'}})
await refused(writer.getOrgsIDSecrets({orgID}), 401, 'unauthorized', /^read:/)
await refused(writer.patchOrgsIDSecrets({orgID, body: {other: 'x'}}), 401, 'unauthorized', /^write:/)
assert.equal((await auths.getAuthorizations({userID: first.user.id, org: 'acme'})).authorizations.length, 2)
assert.equal((await auths.getAuthorizationsID({authID: auth.id})).token, 'REDACTED')
assert.equal((await auths.patchAuthorizationsID({authID: auth.id, body: {status: 'inactive'}})).status, 'inactive')
await refused(writer.patchOrgsIDSecrets({orgID, body: {'db/password': 'x'}}), 401, 'unauthorized', /inactive/)
await auths.deleteAuthorizationsID({authID: auth.id})

// An authorization with an action that the client does not know is listed and handed back like any other.
const agent = await auths.postAuthorizations({body: {
  orgID, description: 'uses', permissions: [{action: 'use', resource: {type: 'secrets', orgID, name: 'db/*'}}],
}})
const listed = (await auths.getAuthorizations({orgID})).authorizations.find((a) => a.id === agent.id)
assert.deepEqual(listed.permissions.map((p) => [p.action, p.resource.type, p.resource.name]), [['use', 'secrets', 'db/*']])
await refused(new OrgsAPI(new InfluxDB({url, token: agent.token})).getOrgsIDSecrets({orgID}), 401, 'unauthorized', /^read:/)
await auths.deleteAuthorizationsID({authID: agent.id})

// Buckets.
const bucket = await buckets.postBuckets({body: {orgID, name: 'cpu', retentionRules: [{type: 'expire', everySeconds: 3600}]}})
assert.equal((await buckets.patchBucketsID({bucketID: bucket.id, body: {name: 'cpus'}})).name, 'cpus')
assert.equal((await buckets.getBucketsID({bucketID: bucket.id})).retentionRules[0].everySeconds, 3600)
assert.deepEqual((await buckets.getBuckets({orgID, name: 'cpus'})).buckets.map(b => b.id), [bucket.id])
await buckets.deleteBucketsID({bucketID: bucket.id})

// The end.
await orgs.deleteOrgsIDMembersID({orgID, userID: bob.id})
await users.deleteUsersID({userID: bob.id})
await orgs.deleteOrgsID({orgID: other.id})
await refused(orgs.getOrgsID({orgID: other.id}), 404, 'not found', /organization not found/)
console.log('walked to the end')
