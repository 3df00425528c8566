package api

// deliberate is a difference to InfluxDB that is meant. Better stands for what InfluxDB does wrong, the contract
// for what was agreed on, and later versions for what InfluxDB itself has changed since the one that was
// recorded (2.0.0-beta.11).
type deliberate struct {
	exchange   string // a regular expression
	difference string // a regular expression
	why        string
}

var deliberately = []deliberate{
	// Answers that are of another kind.
	{`root \(no UI assets\)|unknown path|double slash`, `500 became 404 not found: path not found`,
		"better: InfluxDB looks for a page and fails"},
	{`unknown api path`, `401 unauthorized: unauthorized access became 404 not found: path not found`,
		"better: a wrong path is no question of who asks"},
	{`GET trailing slash`, `301 became 200`, "better: answered instead of redirected, which some clients would " +
		"follow without their token"},
	{`Bearer scheme`, `401 unauthorized: unauthorized access became 200`,
		"the contract: Bearer works too, as in later versions"},
	{`DELETE secrets/foo`, `404 not found: path not found became 204`, "later versions: the route"},
	{`GET secrets/foo`, `404 not found: path not found became 200`, "ours: what is known of a secret, never its value"},
	{`setup no password`, `400 empty value: onboard failed, missing value became 201`,
		"later versions: a user without a password has the token only"},
	{`setup invalid json`,
		`500 internal error: invalid character .* became 400 invalid: failed to unmarshal json: invalid character .*`,
		"better: broken JSON is not the server's fault"},
	{`unknown org (GET|GET after PATCH)|GET secrets of deleted org|malformed org id 0123456789ABCDEF: GET`,
		`200 became 404 not found: organization not found`, "better: what is not there has no secrets"},
	{`unknown org (PATCH|delete)`, `204 became 404 not found: organization not found`,
		"better: InfluxDB stores what belongs to nobody"},

	// Bodies that InfluxDB takes and we refuse.
	{`PATCH null value`, `204 became 400 invalid: .* the value of "a" must be a string; nothing was changed`,
		"better: null would become an empty secret"},
	{`PATCH null body|delete null`,
		`204 became 400 invalid: failed to unmarshal json: the body must be a JSON object.*`,
		"better: null is not an object"},
	{`PATCH trailing garbage|PATCH two JSON documents`,
		`204 became 400 invalid: .* there is more behind the JSON object`, "better: half of it would be lost"},
	{`PATCH lone surrogate`, `204 became 400 invalid: .* half of a surrogate pair: .*`,
		"better: the key would be another one, with U+FFFD"},
	{`PATCH invalid UTF-8`, `204 became 400 invalid: .* the body is not valid UTF-8`,
		"better: key and value would be others"},
	{`PATCH empty key`, `204 became 400 invalid: a secret's key must not be empty`,
		"better: an empty key cannot be named in a path"},
	{`PATCH (NUL|newline) key`, `204 became 400 invalid: the key .* without control characters`,
		"better: no list or path shows such a key rightly"},
	{`PATCH 8 MiB value`,
		`(204|500 internal error: .*) became 413 request too large: the request body is larger than 4194304 bytes \(--max-body-size\)`, "better: a limit with a clear refusal, the same over both stores"},
	{`PATCH (32760|32761|100000)-byte key.*`,
		`(204|500 internal error: key too large) became 413 request too large: .* at most 1024 are allowed \(--max-secret-key-size\)`, "better: a limit with a clear refusal, the same over both stores"},

	// What follows from those for the lists.
	{`get after odd keys`, `body\.secrets has "(|a|bad�|doc1|new\\nline|nul\\x00key|sur�|tg)" only in InfluxDB's`,
		"better: they were refused, see above"},

	// Words.
	{`setup no (username|org|bucket)|setup empty body`,
		`body\.message: onboard failed, missing value became onboard failed, missing value: username, org and bucket are required`, "better: it says which"},
	{`PATCH (non-string|object) value`,
		`body\.message: .* became failed to unmarshal json: the value of "a" must be a string; nothing was changed`,
		"better: it names the key instead of Go's types"},
	{`PATCH (array|string) body`,
		`body\.message: .* became failed to unmarshal json: the body must be a JSON object of keys and values.*`,
		"better: it says what is wanted instead of Go's types"},
	{`delete wrong type|delete number in list`,
		`body\.message: .* became failed to unmarshal json: secrets must be a list of strings; nothing was changed`,
		"better: it names the field instead of Go's types"},
	{`PUT|POST to secrets|DELETE secrets|HEAD`, `(Allow|body\.message): .*GET, OPTIONS, PATCH became .*GET, PATCH`,
		"OPTIONS is for browsers that ask about another origin, and not named"},
	{`GET secrets/delete`,
		`405 method not allowed: allow: OPTIONS, POST became 404 not found: secret "delete" not found`,
		"ours: there may be a secret named delete"},
	{`OPTIONS`, `(X-Platform-Error-Code|Content-Type|Allow|the body): .* became .+`, "better: 405 in JSON, with Allow"},
	{`CORS preflight`, `Access-Control-Allow-Methods: .* became POST, GET, OPTIONS, PUT, PATCH, DELETE`,
		"better: PATCH, which InfluxDB forgot, is what sets secrets"},

	// More and less in answers that are otherwise the same.
	{`.*`, `body\.links\.secrets is only in ours`, "the contract: the list's own address under both of its names"},
	{`.*`, `body\.(orgs\[\d+\]\.)?links\.logs is only in InfluxDB's`,
		"there are no operation logs; the audit log is for operators"},
	{`SETUP|.*authorizations.*`,
		`body\..*permissions has "map\[action:(read|write) resource:map\[type:(notebooks|annotations|remotes|replications|instance)\]\]" only in ours`, "later versions: their types"},
	{`.*authorizations.*|make secrets-read token inactive`, `body\..*token: .* became REDACTED`,
		"later versions: tokens are kept as hashes"},
	{`.*authorizations.*|make secrets-read token inactive`, `body\..*lastUsedAt is only in ours`, "asked for by users"},
	{`me with cookie`, `body\.lastSignInAt is only in ours`, "asked for by users"},
	{`SETUP`, `body\.auth\.(org|user) is only in ours`, "an authorization looks the same everywhere"},
	{`SETUP`, `body\.bucket\.(retentionRules\[0\]\.shardGroupDurationSeconds|labels) is only in ours`,
		"later versions"},
	{`SETUP`, `body\.org\.links: <nil> became map\[.*`, "an organization looks the same everywhere"},
	{`/api/v2/orgs\?org=my-org`, `body\.links\.self: /api/v2/orgs became /api/v2/orgs\?org=my-org`,
		"the page's own address"},
	{`/?health.*`, `body\.checks has "map\[name:(secret-store|audit-log|data) status:pass\]" only in ours`,
		"better: health shows the state of the store and of the record"},
	{`/?health.*`, `body\.(commit: none|version: dev) became .*`, "the version is another one"},
	{`/?ready`, `Content-Type: text/plain; charset=utf-8 became application/json; charset=utf-8`,
		"the contract: JSON is called JSON"},
	{`api index`,
		`body\.(backup|checks|dashboards|delete|external|flags|labels|notificationEndpoints|notificationRules|plugins|query|scrapers|sources|tasks|telegrafs|variables|write|system\.debug) is only in InfluxDB's`, "what is not served is not listed"},
	{`api index`, `body\.(audit|config|resources|system\.ready) is only in ours`, "what is served is listed"},

	// Vault's recording.
	{`get.*|final GET`, `body\.secrets is in another order`, "better: sorted over every store"},
}
