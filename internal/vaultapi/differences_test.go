package vaultapi_test

// deliberate is a difference to Vault that is meant. Better stands for what Vault does wrong, ours
// for what this server is.
type deliberate struct {
	exchange   string // a regular expression
	difference string // a regular expression
	why        string
}

var deliberately = []deliberate{
	// What is refused here.
	{`write data null|patch with data null`, `(200|500) became 400: {"errors":\["no data provided"\]}`,
		"better: an entry is an object; clients fail at 200 without one"},
	{`read data null`, `200 became 404: .*`, "it was refused, see above"},
	{`write trailing garbage`, `200 became 400: {"errors":\["error parsing JSON"\]}`,
		"better: half of it would be lost"},
	{`reader lists`, `body\.data\.keys: .*`, "the two entries that were refused are missing"},
	{`not UTF-8`, `500 became 400: .*`, "better: not the server's fault"},
	{`keep two versions|write metadata|write part of the metadata|patch metadata of nothing`,
		`(204|404) became 400: .*--secret-history.*`, "ours: how many versions are kept is the operator's to say"},
	{`end of versions after.*`, `204 became 400: .*delete_version_after is not known here.*`,
		"ours: nothing is deleted by itself"},
	{`an evicted version|read after the end`, `404 became 200: .*`, "it was refused to evict it, see above"},
	{`metadata with an evicted version`, `body\.data\.(max_versions|oldest_version|versions\.1).*`,
		"it was refused to evict it, see above"},
	{`(write|read) with an end|writing data does, too`, `body\..*deletion_time: .* became ""`,
		"it was refused to let it end, see above"},
	{`read metadata after|metadata now|metadata after the patch|data answers carry custom_metadata|writing data does, too`,
		`body\.data\.(metadata\.)?(custom_metadata|delete_version_after|max_versions|versions\.2\.deletion_time): .*`,
		"it was refused, see above"},
	{`a body of 33 MiB`, `body\.errors\[0\]: "error parsing JSON" became .*--max-body-size.*`,
		"better: it says which limit"},
	{`a body of 2 MiB`, `200 became 413: .*--max-secret-value-size.*`, "ours: the limit of a secret"},
	{`read wrapped|wrap again|wrap a write|wrap anything|a bad wrapping time|a negative wrapping time`,
		`(200|400) became (200|400|404): .*`, "no answer is wrapped, and what asks for it refused"},
	{`a bad wrapping time|a negative wrapping time`, `body\.errors\[0\]: .*not wrapped here.*`, "no answer is wrapped"},
	{`wrap a 404`, `404 became 400: .*not wrapped here.*`, "no answer is wrapped"},
	{`look it up|unwrap.*|rewrap|look nothing up`, `(200|400) became (400|403|404): .*`,
		"no answer but a secret ID is wrapped"},

	// Words, none of which holds anything of a value here.
	{`read version abc|write data a (string|list)|options not a map|delete versions, not a number|subkeys with depth x|patch metadata, wrong type|custom_metadata .*|a bad duration`,
		`body\.errors\[0\]: .* became .*`, "better: an input may be a secret, and is not repeated; nor are Go's types"},
	{`destroy without versions`, `body\.errors\[0\]: "no version .* became "No version .*`,
		"one sentence for all three"},
	{`renew beyond the bound`, `body\.warnings\[0\]: .*`, "the sentence is another one"},
	{`read, sealed`, `body\.errors\[0\]: "Vault is sealed" became .*`, "ours: what the store says of itself"},

	// What an entry is here.
	{`read a destroyed version|metadata after all that`, `body\..*deletion_time: "\$\{time\}" became ""`,
		"what is destroyed is not deleted as well"},
	{`GET with list=false`, `404 became 200: .*`, "ours: an organisation is an entry, too"},
	{`LIST of a mount, with slash`, `body\.data\.keys: .*`,
		"ours: organisations by their IDs, each as an entry and as a folder"},
	{`reader lists above`, `403 became 200: .*`, "ours: the organisations that it may read of"},
	{`read|write|read after|write without cas|write with cas|write a bad duration|write a negative number|read after the refused ones|set back|delete config`,
		`\d+ became 404: .*lone/.*`, "ours: there is one mount"},
	{`LIST of an empty mount|read through a trailing slash`, `body\..*`, "ours: there is one mount"},

	// Permissions.
	{`patcher patches`, `200 became 403: .*`, "ours: the outcome of a patch tells what is there, so that it takes " +
		"reading, too"},
	{`writer deletes`, `403 became 204: `, "ours: whoever may write may delete"},
	{`creator overwrites`, `403 became 200: .*`, "ours: there is no permission to create alone"},
	{`capabilities of the caller`, `body\..*secret/metadata/app: .*`,
		"ours: an organisation is an entry and a folder under one path"},
	{`capabilities.*`, `body\..*\["(create","update|root)"\] became \["create".*`,
		"ours: what the token may do, by its names"},
	{`capabilities of another token|look up another( token| without permission)|look up an unknown one|renew another`,
		`\d+ became (403|404): .*`, "ours: tokens are looked up by themselves alone"},
	{`create a token`, `403 became 200: .*`, "ours: a token may make another that can do no more and ends with it"},

	// Headers and paths of Vault's own.
	{`path help`, `body\..* is only in (ours|Vault's)`, "ours: a path's help is in docs/vault-api.md"},
	{`the root`, `(Content-Type|X-Content-Type-Options|body): .*`, "one form for all of this address"},
	{`X-Vault-Namespace`, `X-Vault-Namespace: .*`, "there are no namespaces"},
	{`X-Vault-Inconsistent`, `400 became 200: .*`, "one server answers what it has written"},
	{`licence status`, `body\.errors\[0\]: .*`, "there is no licence"},
	{`renew a lease that is none`, `400 became 404: .*`, "secrets have no leases"},

	// What the server says of itself.
	{`health.*|seal status.*`, `body\.(cluster_id|cluster_name) is only in Vault's`, "there is no cluster"},
	{`health.*|seal status.*`, `body\.version: "1.14.1" became "1.14.1\+strongroom"`,
		"the version of the API that is spoken"},
	{`seal status.*`, `body\.type: "shamir" became "strongroom"`, "its seal is another one"},
	{`lookup-self, sealed`, `503 became 200: .*`, "tokens are not kept where the secrets are"},
	{`mounts, root|ui mounts, .*|auth methods`, `body\..*(sys|identity|cubbyhole|lone)/ is only in Vault's`,
		"ours: there is one mount"},
	{`.*mount.*|auth methods`,
		`body\..*(uuid|running_plugin_version|description|token_type|_lease_ttl)(: .*| is only in Vault's)`,
		"ours: there are no plugins"},
	{`look up root|look oneself up|look that up|renew .*`, `body\.(data|auth)\.(token_)?policies: .*`,
		"ours: a token's permissions by name"},
	{`look up root`, `body\.data\.id: "root" became .*`, "its token is another one"},
	{`renew oneself, no body`, `body\.auth\.lease_duration: 7200 became 3600`,
		"a renewal gives what the token was made with"},

	// Logging in.
	{`auth methods|ui mounts, .*`, `body\..*approle/ is only in ours`, "one may always log in by a role"},
	{`approle.*|what it gave`, `body\.(data|auth)\.((token_)?policies|entity_id): .*`,
		"ours: a token's permissions by name; there are no entities"},
	{`approle, nothing`, `500 became 400: .*missing role_id.*`, "better: not the server's fault"},
	{`approle, GET`, `500 became 405: .*`, "better: not the server's fault"},
	{`secret id, wrapped|it is unwrapped`,
		`body\.(request_id|wrap_info\.wrapped_accessor|data\.secret_id(_accessor)?): .*`,
		"ours: other forms of the same"},
	{`userpass.*|kubernetes.*|jwt.*`, `\d+ became 403: .*`, "nobody learns which methods there are"},
	{`kubernetes.*`, `body\.errors\[0\]: .*`, "nobody learns which methods there are"},
}
